// Evaluates one configuration file of PM2's and writes what it exports as JSON, behind a mark: whatever the
// file prints itself stands before it.
const [, path, form, mark] = process.argv;
const fs = require("node:fs");
const url = require("node:url");
const { createRequire } = require("node:module");

const unknown = (key, value) => {
  if (value === undefined) return { $clusterctl: "undefined" };
  if (typeof value === "function") return { $clusterctl: "a function" };
  if (typeof value === "symbol") return { $clusterctl: "a symbol" };
  if (typeof value === "bigint") return String(value);
  if (value instanceof RegExp) return String(value);
  if (typeof value === "number" && !Number.isFinite(value)) return { $clusterctl: String(value) };
  return value;
};

// Node before 22.18 has no types of its own: what the project itself uses for them does it.
const transpile = (error) => {
  if (error?.code !== "ERR_UNKNOWN_FILE_EXTENSION" && !(error instanceof SyntaxError)) throw error;
  const near = createRequire(path);
  const text = fs.readFileSync(path, "utf8");
  const ways = [
    () => near("esbuild").transformSync(text, { loader: "ts", format: "cjs" }).code,
    () => near("typescript").transpileModule(text, { compilerOptions: { module: 1, esModuleInterop: true } }).outputText,
    () => near("sucrase").transform(text, { transforms: ["typescript", "imports"] }).code,
  ];
  for (const way of ways) {
    let code;
    try {
      code = way();
    } catch {
      continue;
    }
    const Module = require("node:module");
    const made = new Module(path);
    made.filename = path;
    made.paths = Module._nodeModulePaths(require("node:path").dirname(path));
    made._compile(code, path);
    return made.exports;
  }
  throw new Error(
    `node ${process.version} cannot read TypeScript, and the project has neither esbuild nor typescript`,
  );
};

const load = async () => {
  if (form === "expression") {
    return require("node:vm").runInThisContext(`(${fs.readFileSync(path, "utf8")}\n)`, { filename: path });
  }
  let exported;
  try {
    exported = await import(url.pathToFileURL(path).href);
  } catch (error) {
    exported = /\.[cm]?ts$/.test(path) ? transpile(error) : Promise.reject(error);
    exported = await exported;
  }
  return exported.default ?? exported;
};

const write = (text) => {
  const bytes = Buffer.from(text);
  for (let at = 0; at < bytes.length; ) {
    try {
      at += fs.writeSync(1, bytes, at);
    } catch (error) {
      if (error.code !== "EAGAIN") throw error;
    }
  }
};

// The exported value may not be JSON, such as one that holds itself: that is an error of the file too.
load()
  .then((value) => {
    write(`\n${mark}${JSON.stringify(value, unknown) ?? "null"}\n`);
    process.exit(0);
  })
  .catch((error) => {
    process.stderr.write(`\n${mark}${error?.message ?? error}\n`);
    process.exit(1);
  });
