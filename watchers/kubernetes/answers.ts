/** Turns what is known into updates: what was read at once, what cannot be answered with the reason, and nobody only when sure. */

import type { Endpoint, Unfit } from '../../src/model.ts';
import type { Hosts } from '../kit/hosts.ts';
import type { Watching } from '../kit/watching.ts';
import type { SecondRead } from './api/second-read.ts';
import { Doubts, type Why } from './doubts.ts';
import { answerOf, externalOf } from './external-names.ts';
import { isAboutOffer, type Offers, questionAbout } from './offers.ts';
import { keyOf, type Question, type ServiceKey } from './question.ts';
import type { KubernetesSettings } from './settings.ts';
import { type Answer, answerFrom, isEmpty, type View } from './view.ts';

export type Answering = {
  readonly view: View;
  readonly settings: KubernetesSettings;
  readonly questions: readonly Question[];
  readonly hosts: Hosts;
  /** Null: only those are served that a query names. */
  readonly offers: Offers | null;
  readonly emit: Watching<unknown>['emit'];
};

export class Answers {
  readonly doubts = new Doubts();
  readonly #view: View;
  readonly #settings: KubernetesSettings;
  readonly #hosts: Hosts;
  readonly #offers: Offers | null;
  #areOffersKnown = false;
  readonly #emit: Watching<unknown>['emit'];
  readonly #asked = new Map<ServiceKey, Question[]>();
  /** Queries that were answered once. */
  readonly #told = new Set<string>();
  /** Queries that were told that nobody is there: it need not be confirmed again. */
  readonly #empty = new Set<string>();
  /** Services that were there once: of these it can be said that they are gone. */
  readonly #seen = new Set<ServiceKey>();
  /** Why nothing can be learnt now, by resource. */
  readonly #failures = new Map<string, string>();

  constructor({ view, settings, questions, hosts, offers, emit }: Answering) {
    this.#view = view;
    this.#settings = settings;
    this.#hosts = hosts;
    this.#offers = offers;
    this.#emit = emit;
    for (const question of questions) this.#ask(question);
  }

  questions(key: ServiceKey): readonly Question[] {
    return this.#asked.get(key) ?? [];
  }

  /**
   * These Services may be offered now, or no more, or otherwise; of those that were deleted that has yet to be confirmed.
   * `isAll`: they are all that there are.
   */
  lookForOffers(keys: Iterable<ServiceKey>, { isAll = false } = {}): void {
    if (this.#offers === null) return;
    if (isAll) this.#areOffersKnown = true;
    let isChanged = isAll;
    const [failure] = this.#failures.values();
    for (const key of keys) {
      const service = this.#view.service(key);
      const became = service === undefined ? 'none' : this.#offers.note(service);
      if (service === undefined || became === 'none') continue;
      isChanged = true;
      const question = questionAbout(service);
      this.#unask(question, became === 'offered');
      if (became === 'offered') this.#ask(question);
      else this.#emit({ kind: 'gone', key: question.query.key });
      if (failure !== undefined) this.#emitStale([key], failure);
    }
    if (isChanged) this.#emitOffers();
  }

  lookAtAll(): void {
    for (const key of this.#asked.keys()) this.look(key);
  }

  /** Tells what is known of a Service now. */
  look(key: ServiceKey): void {
    if (!this.#view.isComplete || this.#failures.size > 0) return;
    if (this.#view.service(key) !== undefined && this.#asked.has(key)) this.#seen.add(key);
    const doubtful = this.questions(key).filter((question) => !this.#lookAt(question, key));
    if (doubtful.length > 0) this.doubts.add(key, this.#whyDoubtful(key, doubtful));
    else this.doubts.end(key);
  }

  /** Of those that were doubted when the read began, and are still. Returns false where it says nothing for now. */
  confirm(keys: readonly ServiceKey[], found: SecondRead): boolean {
    if (this.#failures.size > 0) return false;
    for (const key of keys.filter((one) => this.doubts.has(one))) {
      const empty = this.questions(key).filter((question) => isEmpty(this.#answer(question, key)));
      const service = this.#view.service(key) ?? found.services.get(key);
      const slices = found.slices.get(key) ?? [];
      const sure = empty.filter((question) => isEmpty(answerFrom(service, slices, this.#choiceOf(question))));
      for (const question of sure) this.#emitEmpty(question, key, service !== undefined);
      if (sure.length === empty.length) this.doubts.end(key);
    }
    return true;
  }

  /** The second read of these Services failed: what was told last of those that are still in doubt holds on. */
  doubtfulFor(keys: readonly ServiceKey[], reason: string): void {
    if (this.#failures.size > 0) return;
    for (const key of keys.filter((one) => this.doubts.has(one)))
      for (const question of this.questions(key)) {
        // Of the others nothing new would be told when the doubt ends: they would be stale for good.
        const isInDoubt = isEmpty(this.#answer(question, key)) && !this.#isKnownEmpty(question, key);
        if (isInDoubt) this.#emit({ kind: 'stale', key: question.query.key, reason });
      }
  }

  /** From now on nothing can be learnt of this resource; or (null) it can again. */
  setFailure(resource: string, reason: string | null): void {
    if (reason === null) {
      this.#failures.delete(resource);
      this.#emitOffers();
      this.lookAtAll();
    } else {
      this.#failures.set(resource, reason);
      this.#emitStale([...this.#asked.keys()], reason);
      if (this.#offers !== null) this.#emit({ kind: 'stale', key: this.#offers.query.key, reason });
    }
  }

  /** Returns false where nobody seems to be there and that is not sure. */
  #lookAt(question: Question, key: ServiceKey): boolean {
    const { query } = question;
    const service = this.#view.service(key);
    const external = service && externalOf(service, query.settings, this.#settings);
    if (external?.kind === 'host') {
      const emitHost = (): void => this.#emitHost(query.key, external);
      this.#hosts.follow(query.key, new Set([external.host]), emitHost);
      emitHost();
      return true;
    }
    this.#hosts.end(query.key);
    const answer = external ?? this.#answer(question, key);
    if (answer.kind === 'refused')
      this.#emit({ kind: 'stale', key: query.key, reason: answer.reason, isUnanswerable: true });
    else if (answer.kind === 'endpoints' && answer.endpoints.length > 0)
      this.#emitSome(query.key, answer.endpoints, answer.unfit);
    else if (this.#isKnownEmpty(question, key)) this.#emitEmpty(question, key, service !== undefined);
    else {
      // Nobody waits for what slices that are written anew may bring: where nothing was told yet, this is the answer.
      const why = answer.kind === 'endpoints' ? answer.unmatched : null;
      if (why !== null && !this.#told.has(query.key))
        this.#emit({ kind: 'stale', key: query.key, reason: why.reason, isUnanswerable: true });
      return false;
    }
    return true;
  }

  #whyDoubtful(key: ServiceKey, doubtful: readonly Question[]): Why {
    if (this.#view.service(key) === undefined) return this.#seen.has(key) ? 'deleted' : 'empty';
    const answers = doubtful.map((question) => this.#answer(question, key));
    return answers.some((answer) => answer.kind === 'endpoints' && answer.isUnsettled) ? 'unsettled' : 'empty';
  }

  #emitStale(keys: readonly ServiceKey[], reason: string): void {
    for (const { query } of keys.flatMap((key) => this.questions(key)))
      this.#emit({ kind: 'stale', key: query.key, reason });
  }

  /** That one that is offered was deleted has to be confirmed although nobody served it before. */
  #isKnownEmpty(question: Question, key: ServiceKey): boolean {
    return this.#empty.has(question.query.key) && !(this.#view.service(key) === undefined && isAboutOffer(question));
  }

  #answer(question: Question, key: ServiceKey): Answer {
    return this.#view.answer(key, this.#choiceOf(question));
  }

  #choiceOf({ query }: Question) {
    return { ...this.#settings, port: query.settings.port };
  }

  /** While it cannot be resolved the last addresses hold on; where there were none, nothing waits for them. */
  #emitHost(query: string, { host, port }: { readonly host: string; readonly port: number }): void {
    const answer = answerOf(this.#hosts.get(host), port, this.#settings.family);
    if (answer === null) return;
    const { endpoints, trouble } = answer;
    if (endpoints !== null && (trouble === null || !this.#told.has(query))) this.#emitSome(query, endpoints);
    if (trouble !== null)
      this.#emit({ kind: 'stale', key: query, reason: trouble, ...(endpoints === null && { isUnanswerable: true }) });
  }

  #emitSome(query: string, endpoints: readonly Endpoint[], unfit: readonly Unfit[] = []): void {
    this.#empty.delete(query);
    this.#told.add(query);
    this.#emit({ kind: 'endpoints', key: query, endpoints, unfit });
  }

  #emitEmpty(question: Question, key: ServiceKey, isThere: boolean): void {
    const { query } = question;
    this.#empty.add(query.key);
    this.#told.add(query.key);
    if (!isThere && this.#seen.has(key)) this.#emit({ kind: 'gone', key: query.key });
    else {
      const answer = this.#answer(question, key);
      const { unfit, unmatched: why } = answer.kind === 'endpoints' ? answer : { unfit: [], unmatched: null };
      this.#emit({ kind: 'endpoints', key: query.key, endpoints: [], unfit, ...(why && { unreadable: [why] }) });
    }
    if (isThere || !isAboutOffer(question) || !this.#offers?.drop(key)) return;
    this.#unask(question);
    this.#emitOffers();
  }

  #emitOffers(): void {
    if (this.#offers === null || !this.#areOffersKnown) return;
    this.#emit({ kind: 'offers', key: this.#offers.query.key, offers: this.#offers.all });
  }

  #ask(question: Question): void {
    const key = keyOf(question.namespace, question.service);
    this.#asked.set(key, [...this.questions(key), question]);
  }

  /** `isAskedAnew`: in other words, so that what is under way for it goes on. */
  #unask({ query, namespace, service }: Question, isAskedAnew = false): void {
    const key = keyOf(namespace, service);
    const others = this.questions(key).filter((other) => other.query.key !== query.key);
    if (others.length > 0) this.#asked.set(key, others);
    else this.#asked.delete(key);
    if (isAskedAnew) return;
    this.#hosts.end(query.key);
    this.#empty.delete(query.key);
    this.#told.delete(query.key);
    if (others.length > 0) return;
    this.#seen.delete(key);
    this.doubts.end(key);
  }
}
