#!/usr/bin/env python3
"""Writes seeds for the fuzz targets into FOLDER/<target>/, from the test data.

usage: tests/fuzz/make_seeds.py FOLDER
"""
import glob
import json
import os
import struct
import sys

DATA = "tests/data/"


def lines(pattern):
    for path in sorted(glob.glob(DATA + pattern)):
        for line in open(path, encoding="utf-8"):
            yield json.loads(line)


def files(*patterns):
    for pattern in patterns:
        for path in sorted(glob.glob(pattern)):
            yield open(path, "rb").read()


def tensors_file(tensors, metadata=None):
    header, at = {}, 0
    if metadata:
        header["__metadata__"] = metadata
    for name, (dtype, shape, size) in tensors.items():
        header[name] = {"dtype": dtype, "shape": shape, "data_offsets": [at, at + size]}
        at += size
    text = json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + bytes(at)


def field(number, text):  # of a protocol buffer
    size, prefix = len(text), bytes([number << 3 | 2])
    while size > 127:
        prefix, size = prefix + bytes([size & 127 | 128]), size >> 7
    return prefix + bytes([size]) + text


def request(kind, line):
    gold, response = line["gold"], line["response"]
    fields = [b"id", kind.encode(), gold.encode(), response.encode()]
    return b"".join(field(i + 1, text) for i, text in enumerate(fields))


def seeds():
    yield "config", files("configs/*.yaml")
    yield "prompt_line", [b"\n".join(open(DATA + name, "rb").read().split(b"\n")[:3])
                          for name in ("gsm8k_train_50.jsonl", "verl_layout.jsonl")]
    yield "safetensors", [
        tensors_file({"a": ("F32", [2, 3], 24), "b": ("BF16", [4], 8), "c": ("I64", [], 8)}),
        tensors_file({"x": ("F8_E4M3", [2, 2], 4), "y": ("F16", [0, 3], 0)}, {"format": "pt"}),
        tensors_file({})]
    yield "tokenizer_json", files(DATA + "tokenizers/*/tokenizer.json")
    small = [model for model in files(DATA + "tokenizers/*/tokenizer.model") if len(model) < 60000]
    yield "tokenizer_model", small
    templates = {line["template"] for line in lines("chat/*.jsonl") if line.get("template")}
    yield "chat_template", [text.encode() for text in sorted(templates)]

    graded = [line for line in lines("verifier/*.jsonl")
              if isinstance(line.get("gold"), str) and isinstance(line.get("response"), str)]
    short = [line for line in graded if len(line["response"]) < 2000][::7]
    pairs = [line["gold"].encode() + b"\0" + line["response"].encode() for line in short]
    yield "verifier_math", pairs
    yield "verifier_choice", pairs[::3] + [b"B\0The answer is B.", b"[\"A\",\"C\"]\0A and C"]
    yield "verifier_latex", [line["gold"].encode() for line in short]
    answers = [b"(1+2+3)*4", b"{\"a\": 1}", b"1 2 3\n4 5 6", b"UDLR", b"A=1, B=2", b"True", b"x or not y"]
    yield "verifier_puzzle", [bytes([family, family % 5]) + answer
                              for family in range(24) for answer in answers]
    yield "verifier_rpc", [field(1, request(line.get("kind", "math"), line)) for line in short[::3]]


def main(folder):
    for target, texts in seeds():
        os.makedirs(f"{folder}/{target}", exist_ok=True)
        for i, text in enumerate(texts):
            with open(f"{folder}/{target}/{i}", "wb") as out:
                out.write(text)


if __name__ == "__main__":
    main(sys.argv[1])
