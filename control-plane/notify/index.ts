/** What leaves the house: webhooks and mail. */
export { type Deliverer, deliverySteps, startDeliverer } from "./deliverer.ts";
