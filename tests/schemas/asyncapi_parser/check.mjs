// Reads an AsyncAPI document from standard input and prints what the official parser finds wrong with it:
// a JSON list of {code, message, path, severity}, where severity 0 is an error and 1 a warning.
import { readFileSync } from "node:fs";
import { Parser } from "@asyncapi/parser";

const { diagnostics } = await new Parser().parse(readFileSync(0, "utf8"));
console.log(JSON.stringify(diagnostics.map(({ code, message, path, severity }) => ({ code, message, path, severity }))));
