/* eslint-disable no-new -- a Pulumi resource registers itself */
import { ComponentResource, secret } from "@pulumi/pulumi";
import { ESTATE_TYPE } from "../naming.ts";
import { Attachment } from "../resources/attachment.ts";
import { BackupPolicy } from "../resources/backup-policy.ts";
import { Host } from "../resources/host.ts";
import { Volume } from "../resources/volume.ts";
import type { DepartmentSpec } from "../spec.ts";

/**
 * Everything a department has. One flat component: each further component would cost the engine a registration of its
 * own, and a volume that is moved to another host must keep its parent, or it would be deleted and made anew.
 */
export class DepartmentEstate extends ComponentResource {
  constructor(spec: DepartmentSpec) {
    super(ESTATE_TYPE, spec.department, {});
    const options = { parent: this };

    const hosts = new Map(
      spec.hosts.map((host) => {
        const userData = host.userData === undefined ? {} : { userData: secret(host.userData) };
        return [host.name, { pool: host.pool, resource: new Host(host.name, { ...host, ...userData }, options) }];
      }),
    );
    const volumes = new Map(spec.volumes.map((volume) => [volume.name, { pool: volume.pool, resource: new Volume(volume.name, volume, options) }]));

    // A reference to something outside the estate becomes an empty id: the provider refuses that one resource by name,
    // where an exception here would fail the whole department.
    for (const attachment of spec.attachments) {
      const host = hosts.get(attachment.host);
      const volume = volumes.get(attachment.volume);
      new Attachment(attachment.name, { ...attachment, pool: host?.pool ?? "", hostId: host?.resource.id ?? "", volumeId: volume?.resource.id ?? "" }, options);
    }
    for (const policy of spec.backupPolicies) {
      const volume = volumes.get(policy.volume);
      new BackupPolicy(policy.name, { ...policy, volumePool: volume?.pool ?? "", volumeId: volume?.resource.id ?? "" }, options);
    }
    this.registerOutputs({});
  }
}
