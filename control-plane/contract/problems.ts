/** Problem documents (RFC 9457) and the stable codes that programs may rely on. */
import { z } from "zod";

/** code → HTTP status and titles. Codes are never renamed. */
export const problems = {
  "invalid-body": { status: 422, en: "The body does not fit", zh: "请求内容不符合要求" },
  malformed: { status: 400, en: "The request cannot be read", zh: "请求无法解析" },
  "invalid-query": { status: 400, en: "A query parameter does not fit", zh: "查询参数不符合要求" },
  "idempotency-key-missing": { status: 400, en: "Idempotency-Key is missing", zh: "缺少 Idempotency-Key 请求头" },
  "idempotency-key-reused": { status: 422, en: "This Idempotency-Key was used for another request", zh: "该 Idempotency-Key 已用于另一请求" },
  "idempotency-in-progress": {
    status: 409,
    en: "The first request with this Idempotency-Key is still under way",
    zh: "使用该 Idempotency-Key 的首个请求仍在处理",
  },
  unauthenticated: { status: 401, en: "Sign in or send a bearer token", zh: "请登录或提供令牌" },
  "sign-in-refused": { status: 401, en: "The sign-in was refused", zh: "登录失败" },
  "second-factor-needed": { status: 401, en: "The code of your second factor is needed", zh: "请输入动态验证码" },
  "password-expired": { status: 403, en: "The password has expired: choose a new one", zh: "密码已过期，请设置新密码" },
  "too-many-requests": { status: 429, en: "Too many attempts; wait a little", zh: "尝试次数过多，请稍后再试" },
  forbidden: { status: 403, en: "Your role may not do this", zh: "您的角色无权执行此操作" },
  "not-found": { status: 404, en: "There is no such thing, or you may not see it", zh: "不存在，或您无权查看" },
  "method-not-allowed": { status: 405, en: "This address does not take that method", zh: "不支持该请求方法" },
  conflict: { status: 409, en: "This does not fit the present state", zh: "与当前状态冲突" },
  "precondition-missing": { status: 428, en: "If-Match is missing", zh: "缺少 If-Match 请求头" },
  "precondition-failed": { status: 412, en: "It has been changed meanwhile", zh: "内容已被他人修改" },
  "quota-exceeded": { status: 422, en: "The quota does not allow this", zh: "超出配额" },
  "budget-exceeded": { status: 422, en: "The project's fund does not allow this", zh: "超出项目资金" },
  "no-price-book": { status: 422, en: "No price book is in force", zh: "没有生效的价格目录" },
  "project-not-approved": { status: 422, en: "The project is not approved or operating", zh: "项目未处于立项或运维阶段" },
  "plan-changed": { status: 409, en: "The change plan is no longer the one you saw", zh: "变更方案已变化" },
  "self-approval": { status: 403, en: "Nobody decides on their own request", zh: "不得审批本人提交的申请" },
  "second-decision": { status: 403, en: "Nobody decides two steps of one request", zh: "同一申请的不同审批环节不得由同一人审批" },
  "rule-broken": { status: 422, en: "A rule forbids this", zh: "违反业务规则" },
  "city-invalid": { status: 422, en: "The city file has errors", zh: "城市文件有误" },
  "payload-too-large": { status: 413, en: "The body is too large", zh: "请求内容过大" },
  "unsupported-media-type": { status: 415, en: "Send application/json", zh: "请使用 application/json" },
  "storage-full": { status: 507, en: "The storage is full", zh: "存储空间不足" },
  unavailable: { status: 503, en: "Not ready yet; try again", zh: "服务暂不可用，请稍后重试" },
  internal: { status: 500, en: "An error of ours; quote the correlation id", zh: "系统内部错误，请提供关联编号" },
} as const;
export type ProblemCode = keyof typeof problems;

export const Problem = z
  .object({
    type: z.string().meta({ description: "urn:zhengyun:problem:<code>" }),
    title: z.string(),
    status: z.int(),
    code: z.string(),
    detail: z.string().optional(),
    instance: z.string().optional(),
    correlationId: z.string().optional(),
    /** What to do about it. */
    remedy: z.string().optional(),
    /** Where in the body or query: JSON Pointer. */
    errors: z.array(z.object({ pointer: z.string(), detail: z.string() })).optional(),
    /** A refusal by quota: which limits, whose, how much is left, who can raise it. */
    limits: z
      .array(
        z.object({
          department: z.string(),
          departmentName: z.string(),
          dimension: z.string(),
          /** A limit for one protection level; left out: for all. */
          level: z.int().optional(),
          limit: z.int(),
          reserved: z.int(),
          used: z.int(),
          left: z.int(),
          asked: z.int(),
          /** How much of what is left would be borrowed from departments beside it. */
          borrowable: z.int().optional(),
          raisedBy: z.string(),
        }),
      )
      .optional(),
    /** A refusal by budget: which fund, how much is left, who can raise it. Money in fen. */
    funds: z
      .array(
        z.object({
          project: z.string(),
          projectCode: z.string(),
          kind: z.string(),
          fiscalYear: z.int(),
          amountFen: z.int(),
          reservedFen: z.int(),
          committedFen: z.int(),
          spentFen: z.int(),
          leftFen: z.int(),
          askedFen: z.int(),
          raisedBy: z.string(),
        }),
      )
      .optional(),
  })
  .meta({ id: "Problem" });
export type Problem = z.infer<typeof Problem>;
