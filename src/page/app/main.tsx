/** Starts the page. */
import { render } from 'preact';
import { Page } from './parts/page.tsx';
import { Store } from './store.ts';

const store = new Store();
store.start();
const root = document.getElementById('page');
if (root !== null) render(<Page store={store} />, root);
