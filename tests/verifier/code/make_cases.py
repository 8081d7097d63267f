"""Writes the lines of `ponder-verifier grade` for HumanEval, MBPP, their C++ versions by MultiPL-E and
CodeContests: each problem with its canonical solution, where the file has one ("want": "AC"), and with
a stub ("want": "not AC").

    python3 make_cases.py FOLDER [every] > lines.jsonl      # every n-th problem of each file
"""
import json
import re
import sys


# MultiPL-E's C++ solutions are a model's; these were read and are wrong.
WRONG = {"HumanEval_163_generate_integers", "mbpp_626_triangle_area"}


def lines(folder):
    for name in ("humaneval", "mbpp"):
        for row in map(json.loads, open(f"{folder}/{name}.jsonl")):
            tests = {"asserts": row["test"] + f"\ncheck({row['entry_point']})\n", "entry": row["entry_point"]}
            stub = f"def {row['entry_point']}(*args, **kwargs):\n    return None\n"
            prompt = row["prompt"]
            if name == "mbpp":  # its doc strings and its solutions are indented differently
                prompt = prompt[: prompt.index("    '''")]
            yield name, row["task_id"], "python", tests, prompt + row["canonical_solution"], stub
    for name in ("humaneval_cpp", "mbpp_cpp"):
        for row in map(json.loads, open(f"{folder}/{name}.jsonl")):
            entry = re.search(r"auto candidate = (\w+);", row["tests"]).group(1)
            tests = {"asserts": row["tests"], "entry": entry}
            stub = row["prompt"] + "\n    for (;;) __builtin_trap();\n}\n"
            fenced = re.findall(r"```(?:cpp|c\+\+)?\n(.*?)```", row.get("gpt_solution") or "", re.S)
            yield name, row["name"], "cpp", tests, "".join(fenced[:1]) or None, stub
    for number, row in enumerate(json.load(open(f"{folder}/code_contests_30.json"))):
        tests = {"stdin": [{"input": i, "output": o} for i, o in zip(row["tests"]["inputs"], row["tests"]["outputs"])]}
        echo = "import sys\nsys.stdout.write(sys.stdin.read())\n"
        yield "code_contests", str(number), "python", tests, None, echo


def main(folder, every):
    seen = {}
    for source, name, language, tests, canonical, stub in lines(folder):
        seen[source] = seen.get(source, -1) + 1
        if seen[source] % every:
            continue
        wanted = "not AC" if name in WRONG else "AC"
        for kind, program, want in (("canonical", canonical, wanted), ("stub", stub, "not AC")):
            if program is not None:
                print(json.dumps({"id": f"{source}/{name}/{kind}", "kind": "code", "language": language,
                                  "response": program, "tests": tests, "want": want}))


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else 1)
