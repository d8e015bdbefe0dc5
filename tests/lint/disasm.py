"""disasm.py - an archive's machine code as functions of instructions, for the lints that read it."""
import collections
import re
import subprocess

Instruction = collections.namedtuple("Instruction", "address mnemonic operands text")
Function = collections.namedtuple("Function", "object name code")

OBJECT = re.compile(r"^(\S+):\s+file format")
FUNCTION = re.compile(r"^[0-9a-f]+ <(.+)>:$")
LINE = re.compile(r"^\s*([0-9a-f]+):\t(.+)$")
PREFIX = re.compile(r"^((?:\{\w+\}|lock|rep|repz|repnz|data16|cs|ds|bnd|notrack)\s+)+")


def split_operands(text):
    """At commas outside parentheses, braces and brackets."""
    parts, depth, start = [], 0, 0
    for i, char in enumerate(text):
        depth += (char in "([{") - (char in ")]}")
        if char == "," and depth == 0:
            parts.append(text[start:i].strip())
            start = i + 1
    last = text[start:].strip()
    return parts + [last] if last else parts


def tool(name, path):
    """The binutils program that knows the archive's processor."""
    header = subprocess.run(["objdump", "-f", path], check=True, capture_output=True, text=True).stdout
    return name if "x86-64" in header else "aarch64-linux-gnu-" + name


def functions(path, objdump="objdump"):
    """Every function of an archive or object, in order."""
    out = subprocess.run([objdump, "-d", "--no-show-raw-insn", path], check=True, capture_output=True, text=True).stdout
    name, function, found = str(path), None, []
    for line in out.split("\n"):
        if match := OBJECT.match(line):
            name = match.group(1)
        elif match := FUNCTION.match(line):
            function = Function(name, match.group(1), [])
            found.append(function)
        elif function is not None and (match := LINE.match(line)):
            text = re.split(r"\s# |//", match.group(2))[0].strip()
            bare = PREFIX.sub("", text)
            mnemonic, _, rest = bare.partition(" ") if "\t" not in bare else bare.partition("\t")
            function.code.append(Instruction(int(match.group(1), 16), mnemonic, split_operands(rest.strip()), text))
    return found
