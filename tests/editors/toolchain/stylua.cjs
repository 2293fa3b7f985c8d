// node stylua.cjs STYLUA MODE SETTINGS FILE...   prints the files that are not in style
//
// STYLUA is the folder of the npm package that holds StyLua as WebAssembly; its command-line program
// is nowhere but in a download of GitHub's. MODE "write" puts the files right.
const { readFileSync, writeFileSync } = require('node:fs');
const { join } = require('node:path');

const [folder, mode, settings, ...files] = process.argv.slice(2);
const stylua = require(join(folder, 'stylua_lib_node.cjs'));
const kinds = {
  indent_type: stylua.IndentType,
  quote_style: stylua.QuoteStyle,
  call_parentheses: stylua.CallParenType,
  collapse_simple_statement: stylua.CollapseSimpleStatement,
};
const lines = readFileSync(settings, 'utf8').split('\n').filter(Boolean);

/** A new one for each file: it is used up. */
function configuration() {
  const made = stylua.Config.new();
  for (const line of lines) {
    const [, name, value] = /^(\w+) = "?(\w+)"?$/.exec(line);
    made[name] = name in kinds ? kinds[name][value] : Number(value);
  }
  return made;
}

for (const file of files) {
  const text = readFileSync(file, 'utf8');
  const styled = stylua.formatCode(text, configuration(), undefined, stylua.OutputVerification.Full);
  if (styled === text) continue;
  console.log(file);
  if (mode === 'write') writeFileSync(file, styled);
}
