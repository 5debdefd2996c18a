/** What of a `user:password` is nobody's to read: the password by itself, and the whole as HTTP's basic authentication has it. */
export function spellingsOfLogin(login: string): readonly string[] {
  return [login, login.replace(/^[^:]*:/, ''), Buffer.from(login).toString('base64')];
}
