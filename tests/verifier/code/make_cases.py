"""Writes the lines of `ponder-verifier grade` for HumanEval, MBPP, their C++ versions by MultiPL-E and
CodeContests: each problem with its canonical solution, where the file has one ("want": "AC"), and with
a stub ("want": "not AC").

    python3 make_cases.py FOLDER [every] > lines.jsonl      # every n-th problem of each file
"""
import json
import re
import sys


# MultiPL-E's C++ solutions are a model's. These fail their own tests when compiled together with them, outside of any judge.
WRONG = {"HumanEval_163_generate_integers", "HumanEval_10_make_palindrome", "HumanEval_65_circular_shift",
         "HumanEval_67_fruit_distribution", "HumanEval_83_starts_one_ends", "HumanEval_91_is_bored", "HumanEval_93_encode",
         "HumanEval_101_words_string", "HumanEval_103_rounded_avg", "HumanEval_115_max_fill", "HumanEval_127_intersection",
         "HumanEval_129_minPath", "HumanEval_145_order_by_points", "mbpp_626_triangle_area", "mbpp_83_get_Char",
         "mbpp_101_kth_element", "mbpp_103_eulerian_num", "mbpp_113_check_integer", "mbpp_130_max_occurrences",
         "mbpp_132_tup_string", "mbpp_143_find_lists", "mbpp_160_find_solution", "mbpp_167_next_power_of_2"}
# Returns a union that doesn't say which of its members it holds: no value that can leave its process.
NO_VALUE = {"HumanEval_125_split_words"}


def lines(folder):
    for name in ("humaneval", "mbpp"):
        for row in map(json.loads, open(f"{folder}/{name}.jsonl")):
            tests = {"asserts": row["test"] + f"\ncheck({row['entry_point']})\n", "entry": row["entry_point"]}
            stub = f"def {row['entry_point']}(*args, **kwargs):\n    return None\n"
            prompt = row["prompt"]
            if name == "mbpp":  # its doc strings and its solutions are indented differently
                prompt = prompt[: prompt.index("    '''")]
            else:
                tests["prompt"] = prompt
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
        wanted = "not AC" if name in WRONG | NO_VALUE else "AC"
        for kind, program, want in (("canonical", canonical, wanted), ("stub", stub, "not AC")):
            if program is not None:
                print(json.dumps({"id": f"{source}/{name}/{kind}", "kind": "code", "language": language,
                                  "response": program, "tests": tests, "want": want}))


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else 1)
