/** The forms of a `user:password` that are masked: the whole, the password alone, and the encoding of HTTP basic authentication. */
export function spellingsOfLogin(login: string): readonly string[] {
  return [login, login.replace(/^[^:]*:/, ''), Buffer.from(login).toString('base64')];
}
