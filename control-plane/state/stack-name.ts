/** How a stack is called. Names come from immutable ids, so that moving a department renames nothing. */
export interface StackName {
  organization: string;
  project: string;
  stack: string;
}

/** The stack of a department. Every part of the system gets the name from here. */
export function departmentStack(departmentId: string): StackName {
  return { organization: "zhengyun", project: "department", stack: departmentId };
}

/** What Pulumi allows in an organization's, a project's or a stack's name. */
export const namePattern = /^[A-Za-z0-9_.-]{1,100}$/;

export function sameStack(a: StackName, b: StackName): boolean {
  return a.organization === b.organization && a.project === b.project && a.stack === b.stack;
}
