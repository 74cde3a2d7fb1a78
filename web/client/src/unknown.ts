/** For the end of a `switch` over a `__typename` or an enum: what a later release adds is met at run time, and not before. */
export function unknown(found: { __typename?: string | undefined; message?: string }): Error {
  return new Error(found.message ?? `This server answers ${found.__typename}, which this page does not know yet.`);
}
