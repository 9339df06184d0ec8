// ioredis against a cluster, of which one node's port is given: values, pipelines, transactions, messages, a reshard and
// a failover.
//
// Each part is a function; its name is printed when it has succeeded. A line that begins with `>` asks the test to do
// something to the cluster; the part goes on when a line has come back. Anything unexpected ends the program.
"use strict";

const assert = require("node:assert");
const readline = require("node:readline");
const { setTimeout: sleep } = require("node:timers/promises");
const { Cluster } = require("ioredis");

const PATIENCE_MS = 30_000;
const KEYS = 300;
const nodes = [{ host: "127.0.0.1", port: Number(process.argv[2]) }];
const options = {
  shardedSubscribers: true,
  // A failover takes longer than the default allows.
  retryDelayOnFailover: 100,
  maxRedirections: 100,
  clusterRetryStrategy: () => 100,
};
const input = readline.createInterface({ input: process.stdin })[Symbol.asyncIterator]();
const cluster = new Cluster(nodes, options);

async function ask(request) {
  console.log(`> ${request}`);
  assert.strictEqual((await input.next()).value, "done");
}

async function waitUntil(what, holds) {
  const end = Date.now() + PATIENCE_MS;
  while (!(await holds())) {
    assert(Date.now() < end, `in vain: ${what}`);
    await sleep(20);
  }
}

async function values() {
  const numbers = [...Array(KEYS).keys()];
  await Promise.all(numbers.map((number) => cluster.set(`key:${number}`, number)));
  const found = await Promise.all(numbers.map((number) => cluster.get(`key:${number}`)));
  assert.deepStrictEqual(found, numbers.map(String));
  await assert.rejects(cluster.mget("a", "b"), /CROSSSLOT/);
  const reader = new Cluster(nodes, { ...options, scaleReads: "slave" });
  await waitUntil("replicas have the values", async () => {
    const read = await Promise.all(numbers.map((number) => reader.get(`key:${number}`)));
    return read.every((value, number) => value === String(number));
  });
  reader.disconnect();
}

async function pipelines() {
  const one = cluster.pipeline();
  for (let number = 0; number < 50; number += 1) {
    one.set(`{tag}${number}`, number).get(`{tag}${number}`);
  }
  const replies = await one.exec();
  assert.strictEqual(replies.length, 100);
  replies.forEach(([error, reply], place) => {
    assert.strictEqual(error, null);
    assert.strictEqual(reply, place % 2 ? String((place - 1) / 2) : "OK");
  });
  // Commands to all nodes, gathered into a pipeline for each.
  const gathering = new Cluster(nodes, { ...options, enableAutoPipelining: true });
  const read = await Promise.all([...Array(KEYS).keys()].map((number) => gathering.get(`key:${number}`)));
  assert(read.every((value, number) => value === String(number)));
  gathering.disconnect();
}

async function transactions() {
  const replies = await cluster.multi().set("{tag}text", "a").incr("{tag}count").append("{tag}text", "b").exec();
  assert.deepStrictEqual(replies, [[null, "OK"], [null, 1], [null, 2]]);
  assert.strictEqual(await cluster.get("{tag}text"), "ab");
}

const heard = [];

async function messages() {
  cluster.on("message", (channel, message) => heard.push([channel, message]));
  cluster.on("smessage", (channel, message) => heard.push([channel, message]));
  await cluster.subscribe("news");
  // In the shard that will fail.
  await cluster.ssubscribe("{06S}news");
  for (const [channel, publish] of [["news", "publish"], ["{06S}news", "spublish"]]) {
    await waitUntil(`a message of ${channel}`, async () => {
      await cluster[publish](channel, "first");
      return heard.some(([from, message]) => from === channel && message === "first");
    });
  }
}

async function resharding() {
  for (const key of ["{k2}1", "{06S}1", "{06S}2"]) {
    await cluster.set(key, key);
  }
  await ask("reshard");
  for (const key of ["{k2}1", "{06S}1", "{06S}2"]) {
    assert.strictEqual(await cluster.get(key), key);
    await cluster.append(key, "+");
  }
  // New keys of the slot that is half way belong to its target.
  await cluster.set("{06S}3", "{06S}3+");
  await ask("finish");
  for (const key of ["{k2}1", "{06S}1", "{06S}2", "{06S}3"]) {
    assert.strictEqual(await cluster.get(key), `${key}+`);
  }
}

async function failover() {
  const counts = { done: 0, failed: 0, ends: false };
  const writing = (async () => {
    while (!counts.ends) {
      try {
        await cluster.incr("{06S}count");
        counts.done += 1;
      } catch {
        counts.failed += 1;
        await sleep(10);
      }
    }
  })();
  await waitUntil("writes", () => counts.done > 50);
  await ask("fail over");
  const before = counts.done;
  await waitUntil("writes after the failover", () => counts.done > before + 50);
  counts.ends = true;
  await writing;
  for (let number = 0; number < KEYS; number += 1) {
    assert.strictEqual(await cluster.get(`key:${number}`), String(number));
  }
  assert(Number(await cluster.get("{06S}count")) > before);
  await waitUntil("a message of the shard after the failover", async () => {
    await cluster.spublish("{06S}news", "second");
    return heard.some(([from, message]) => from === "{06S}news" && message === "second");
  });
}

async function main() {
  for (const part of [values, pipelines, transactions, messages, resharding, failover]) {
    await part();
    console.log(part.name);
  }
  process.exit(0);
}

main().catch((error) => {
  console.error(error);
  process.exit(1);
});
