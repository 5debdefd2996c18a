declare module 'handlebars/dist/handlebars.min.js' {
  export { default } from 'handlebars';
}
