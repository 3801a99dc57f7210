// What the browser's shader compiler says of every kernel that the library gives it.

import assert from "node:assert/strict";
import { test } from "node:test";

import { open } from "./browser.mjs";

test("the browser accepts every kernel, with WebGPU's default limits", async () => {
  const browser = await open();
  try {
    await browser.page.waitForFunction("globalThis.ready");
    const found = await browser.page.evaluate(async () => {
      // Whatever the library asks for, it gets a device with the default limits and no features.
      const { requestDevice } = GPUAdapter.prototype;
      GPUAdapter.prototype.requestDevice = function (descriptor) {
        return requestDevice.call(this, { label: descriptor?.label });
      };
      const { createShaderModule } = GPUDevice.prototype;
      const modules = [];
      GPUDevice.prototype.createShaderModule = function (descriptor) {
        const made = createShaderModule.call(this, descriptor);
        modules.push(made.getCompilationInfo().then(({ messages }) => {
          return messages.filter(({ type }) => type === "error").map(({ message }) => `${descriptor.label}: ${message}`);
        }));
        return made;
      };
      const impasto = await Impasto.create();
      const report = await impasto.doctor();
      const accepted = (await Promise.all(modules)).flat();
      const count = modules.length;
      impasto.gpuDevice.createShaderModule({ label: "planted", code: "fn main() -> f32 { return 1u; }" });
      const planted = await modules.at(-1);
      return { report, accepted, count, planted };
    });
    assert.deepEqual(found.accepted, []);
    assert.equal(found.planted.length, 1);
    assert.ok(found.count > 100, `${found.count} kernels`);
    const faults = found.report.cases.filter(({ ok }) => !ok).map(({ name, fault }) => `${name}: ${fault}`);
    assert.deepEqual(faults, []);
    assert.ok(found.report.ok && found.report.cases.length > 100);
  } finally {
    await browser.close();
  }
});
