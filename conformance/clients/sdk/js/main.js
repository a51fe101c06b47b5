// AWS SDK for JavaScript v3: streams in parts, ranges, special keys, presigned URLs, conditions, pages, versions.
import assert from "node:assert/strict";
import { createHash, randomBytes } from "node:crypto";
import http from "node:http";
import { Readable } from "node:stream";
import {
  CopyObjectCommand,
  DeleteObjectsCommand,
  GetObjectCommand,
  GetObjectTaggingCommand,
  HeadObjectCommand,
  ListObjectVersionsCommand,
  NoSuchKey,
  NotFound,
  PutBucketVersioningCommand,
  PutObjectCommand,
  S3Client,
  paginateListObjectsV2,
  waitUntilObjectExists,
} from "@aws-sdk/client-s3";
import { Upload } from "@aws-sdk/lib-storage";
import { getSignedUrl } from "@aws-sdk/s3-request-presigner";

const Bucket = process.env.CLIENT_BUCKET;
const KEYS = JSON.parse(process.env.CLIENT_KEYS);
const MIB = 1024 * 1024;
const lookup = (name, options, done) =>
  options.all ? done(null, [{ address: "127.0.0.1", family: 4 }]) : done(null, "127.0.0.1", 4);
const path = new S3Client({ forcePathStyle: true });
const hosted = new S3Client({
  endpoint: process.env.CLIENT_VIRTUAL_URL,
  requestHandler: { httpAgent: new http.Agent({ keepAlive: true, lookup }) },
});

const sha256 = (bytes) => createHash("sha256").update(bytes).digest("hex");
const left = (key, bytes) => console.log("LEFT " + JSON.stringify({ key, sha256: sha256(bytes) }));
const bytesOf = async (answer) => Buffer.from(await answer.Body.transformToByteArray());

async function carry(s3, prefix) {
  const big = randomBytes(21 * MIB + 17);
  const upload = new Upload({
    client: s3,
    params: { Bucket, Key: `${prefix}/big`, Body: Readable.from(chunks(big)), ContentType: "a/b", Metadata: { colour: "blue" } },
    partSize: 5 * MIB,
    queueSize: 4,
  });
  const done = await upload.done();
  assert.match(done.ETag, /-5"$/);
  const head = await s3.send(new HeadObjectCommand({ Bucket, Key: `${prefix}/big`, ChecksumMode: "ENABLED" }));
  assert.equal(head.ContentLength, big.length);
  assert.deepEqual([head.ContentType, head.Metadata], ["a/b", { colour: "blue" }]);
  assert.deepEqual(await bytesOf(await s3.send(new GetObjectCommand({ Bucket, Key: `${prefix}/big` }))), big);
  const Range = `bytes=${5 * MIB - 2}-${5 * MIB + 1}`;
  const part = await bytesOf(await s3.send(new GetObjectCommand({ Bucket, Key: `${prefix}/big`, Range })));
  assert.deepEqual(part, big.subarray(5 * MIB - 2, 5 * MIB + 2));
  await s3.send(new CopyObjectCommand({ Bucket, Key: `${prefix}/copy`, CopySource: `${Bucket}/${prefix}/big` }));
  left(`${prefix}/copy`, big);
}

function* chunks(bytes) {
  for (let start = 0; start < bytes.length; start += 300_000) yield bytes.subarray(start, start + 300_000);
}

async function oddKeys() {
  for (const key of KEYS) {
    const body = randomBytes(1000);
    await hosted.send(new PutObjectCommand({ Bucket, Key: `special/${key}`, Body: body, Tagging: "a%20b=c%2Bd" }));
    await waitUntilObjectExists({ client: hosted, maxWaitTime: 10 }, { Bucket, Key: `special/${key}` });
    const tags = await hosted.send(new GetObjectTaggingCommand({ Bucket, Key: `special/${key}` }));
    assert.deepEqual(tags.TagSet, [{ Key: "a b", Value: "c+d" }]);
    const source = `${Bucket}/special/${key}`.split("/").map(encodeURIComponent).join("/");
    await path.send(new CopyObjectCommand({ Bucket, Key: `copied/${key}`, CopySource: source }));
    const url = await getSignedUrl(path, new GetObjectCommand({ Bucket, Key: `copied/${key}` }), { expiresIn: 60 });
    assert.deepEqual(Buffer.from(await (await fetch(url)).arrayBuffer()), body);
    left(`copied/${key}`, body);
  }
  const url = await getSignedUrl(path, new PutObjectCommand({ Bucket, Key: "by url" }), { expiresIn: 60 });
  assert.equal((await fetch(url, { method: "PUT", body: "by url" })).status, 200);
  left("by url", Buffer.from("by url"));
  const listed = [];
  for await (const page of paginateListObjectsV2({ client: path, pageSize: 2 }, { Bucket, Prefix: "copied/" })) {
    listed.push(...page.Contents.map((entry) => entry.Key));
  }
  assert.deepEqual(new Set(listed), new Set(KEYS.map((key) => `copied/${key}`)));
  const Objects = KEYS.map((key) => ({ Key: `special/${key}` }));
  assert.equal((await path.send(new DeleteObjectsCommand({ Bucket, Delete: { Objects } }))).Deleted.length, KEYS.length);
}

async function conditions() {
  const attempt = (body) => path.send(new PutObjectCommand({ Bucket, Key: "first", Body: body, IfNoneMatch: "*" }));
  const outcomes = await Promise.allSettled([..."abcdefghijklmnop"].map(attempt));
  assert.equal(outcomes.filter((outcome) => outcome.status === "fulfilled").length, 1);
  for (const { reason } of outcomes.filter((outcome) => outcome.status === "rejected")) {
    assert.ok([409, 412].includes(reason.$metadata.httpStatusCode), reason);
  }
  await assert.rejects(path.send(new GetObjectCommand({ Bucket, Key: "absent" })), NoSuchKey);
  await assert.rejects(path.send(new HeadObjectCommand({ Bucket, Key: "absent" })), NotFound);
}

async function versions() {
  const VersioningConfiguration = { Status: "Enabled" };
  await path.send(new PutBucketVersioningCommand({ Bucket, VersioningConfiguration }));
  const one = await path.send(new PutObjectCommand({ Bucket, Key: "versioned", Body: "one" }));
  await path.send(new PutObjectCommand({ Bucket, Key: "versioned", Body: "two" }));
  const old = await path.send(new GetObjectCommand({ Bucket, Key: "versioned", VersionId: one.VersionId }));
  assert.equal(await old.Body.transformToString(), "one");
  const listed = await path.send(new ListObjectVersionsCommand({ Bucket, Prefix: "versioned" }));
  assert.deepEqual(listed.Versions.map((version) => version.IsLatest), [true, false]);
}

await carry(path, "path");
await carry(hosted, "hosted");
await oddKeys();
await conditions();
await versions();
