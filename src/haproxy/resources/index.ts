/** The list of resources: a new one is a folder and a line here. */
import type { Leaving, Rendered, RuntimeCommand } from '../../model.ts';
import { backends } from './backends/index.ts';
import { caFiles } from './ca-files/index.ts';
import { certificates, crtLists } from './certificates/index.ts';
import { frontends } from './frontends/index.ts';
import { maps } from './maps/index.ts';
import type { Owner, Resource } from './resource.ts';
import { servers } from './servers/index.ts';
import { ownerOf as ownerOfBackend } from './servers/read-back.ts';

const byKind: {
  readonly [Kind in RuntimeCommand['kind']]: Resource<Extract<RuntimeCommand, { readonly kind: Kind }>>;
} = {
  certificate: certificates,
  'crt-list': crtLists,
  'ca-file': caFiles,
  frontend: frontends,
  backend: backends,
  server: servers,
  map: maps,
};

export const resources: readonly Resource[] = Object.values(byKind);

export function resourceOf({ kind }: Pick<RuntimeCommand, 'kind'>): Resource {
  return byKind[kind];
}

/** The lines of commands of any kind, as they are sent. */
export function say(command: RuntimeCommand): readonly string[] {
  return resourceOf(command).say(command);
}

export function ownerOf(command: RuntimeCommand): Owner {
  return resourceOf(command).owner(command);
}

/** The part that a removed thing shows up in, as long as it is there. */
export function ownerOfLeaving({ backend }: Leaving): Owner {
  return ownerOfBackend(backend);
}

/** All parts that can be read back from a process that runs this. */
export function ownersIn(running: Rendered): readonly Owner[] {
  return [...new Set(resources.flatMap((resource) => [...resource.parts(running).keys()]))];
}
