// SPDX-License-Identifier: MIT
// node run.js MODEL.onnx LENGTH: best seconds of one call of a model of models.py, on one thread
const ort = require('onnxruntime-node');

// A sum of uniforms is near enough to normal; the time of an exact kernel does not depend on the values.
function noise(dims) {
  const data = new Float32Array(dims.reduce((a, b) => a * b));
  for (let i = 0; i < data.length; ++i) data[i] = 2 * (Math.random() + Math.random() + Math.random() - 1.5);
  return new ort.Tensor('float32', data, dims);
}

async function main([path, lengthText]) {
  const length = Number(lengthText);
  const decode = path.includes('decode');
  const width = Number(path.match(/_(\d+)\.onnx$/)[1]);
  const keys = decode ? [1, 8, length, width] : [1, length, 8 * width];
  const inputs = { q: noise(decode ? [1, 32, 1, width] : keys), k: noise(keys), v: noise(keys) };
  const session = await ort.InferenceSession.create(path, { intraOpNumThreads: 1, interOpNumThreads: 1 });

  let best = Infinity;
  const stop = process.hrtime.bigint() + 500_000_000n;
  for (let round = 0; round < 6 || (process.hrtime.bigint() < stop && round < 3000); ++round) {
    const start = process.hrtime.bigint();
    await session.run(inputs);
    const seconds = Number(process.hrtime.bigint() - start) / 1e9;
    if (round > 0) best = Math.min(best, seconds); // the first call warms up
  }
  console.log(best);
}

main(process.argv.slice(2));
