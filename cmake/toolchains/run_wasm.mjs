// node run_wasm.mjs PROGRAM.wasm ARGUMENT... - run a module that imports WASI alone; its exit code is ours.
// With no program: exit 77 where this node lacks WASI or, under --experimental-wasm-relaxed-simd, relaxed dot products.
import { readFileSync } from 'node:fs';

const [program, ...args] = process.argv.slice(2);

// (func (param v128 v128) (result v128) local.get 0 local.get 1 i16x8.relaxed_dot_i8x16_i7x16_s)
const relaxedDot = Uint8Array.of(
  0, 97, 115, 109, 1, 0, 0, 0, 1, 7, 1, 96, 2, 123, 123, 1, 123, 3, 2, 1, 0,
  10, 11, 1, 9, 0, 32, 0, 32, 1, 253, 146, 2, 11);

async function wasi(parameters) {
  const { WASI } = await import('node:wasi');
  return new WASI({ version: 'preview1', returnOnExit: true, ...parameters });
}

if (program === undefined) {
  const relaxed = process.execArgv.some((flag) => flag.endsWith('wasm-relaxed-simd'));
  try {
    await wasi({});
    process.exitCode = relaxed && !WebAssembly.validate(relaxedDot) ? 77 : 0;
  } catch {
    process.exitCode = 77;
  }
} else {
  const system = await wasi({ args: [program, ...args], env: process.env });
  const module = await WebAssembly.compile(readFileSync(program));
  const imports = { wasi_snapshot_preview1: system.wasiImport };
  process.exitCode = system.start(await WebAssembly.instantiate(module, imports));
}
