#!/usr/bin/python3
"""A verifier of your own, in Python, against the same proto/verifier.proto.

It serves one kind, "word_count": the gold is a number of words, and a response is correct if what follows its last </think>
has exactly as many. Copy this file and put your own judgement into `judge`. It needs Debian's python3-grpcio,
python3-protobuf, protobuf-compiler and protobuf-compiler-grpc.

  /usr/bin/python3 word_count_verifier.py --listen 127.0.0.1:50052
"""

import argparse
import concurrent.futures
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import tempfile
import time

import grpc


def load_protos(root):
    """The modules that protoc makes of types.proto and verifier.proto below `root`."""
    with tempfile.TemporaryDirectory() as out:
        subprocess.run(
            ["protoc", f"-I{root}", f"--python_out={out}", f"--grpc_out={out}",
             f"--plugin=protoc-gen-grpc={shutil.which('grpc_python_plugin')}",
             "proto/types.proto", "proto/verifier.proto"], check=True)
        sys.path.insert(0, out)
        from proto import types_pb2, verifier_pb2, verifier_pb2_grpc
        sys.path.remove(out)
    return types_pb2, verifier_pb2, verifier_pb2_grpc


ROOT = pathlib.Path(__file__).resolve().parents[2]
types_pb2, verifier_pb2, verifier_pb2_grpc = load_protos(ROOT)
Verdict = types_pb2.Verdict


def judge(gold, response):
    """The verdict on one response. What can't be judged is ERROR (our fault, or the gold's): it is no reward and no penalty."""
    try:
        wanted = int(gold)
    except ValueError:
        return Verdict(outcome=Verdict.ERROR, detail="unparsable_gold", reason="the gold is no number")
    thought, closed, answer = response.rpartition("</think>")
    if not closed and "<think>" in response:
        return Verdict(outcome=Verdict.UNPARSABLE, detail="unclosed_thought", reason="the thought is never closed")
    words = len(answer.split())
    outcome = Verdict.CORRECT if words == wanted else Verdict.WRONG
    return Verdict(outcome=outcome, extracted=answer.strip()[:256], reason=f"{words} words, {wanted} wanted")


class Verifier(verifier_pb2_grpc.VerifierServicer):
    def answer(self, request, context):
        if request.kind != "word_count":
            context.abort(grpc.StatusCode.INVALID_ARGUMENT, f"no grader of kind '{request.kind}'; known: word_count")
        start = time.monotonic()
        verdict = judge(request.gold, request.response)
        verdict.cost_seconds = time.monotonic() - start
        return verifier_pb2.GradeResponse(id=request.id, verdict=verdict)

    def Grade(self, request, context):
        return self.answer(request, context)

    def GradeBatch(self, request, context):
        return verifier_pb2.GradeBatchResponse(responses=[self.answer(one, context) for one in request.requests])

    def GradeStream(self, requests, context):
        for request in requests:
            yield self.answer(request, context)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--listen", default="127.0.0.1:50052", help="host:port; port 0: any free one")
    parser.add_argument("--port-file", help="write the host:port that is served there")
    flags = parser.parse_args()
    # Threads start with gRPC; the signals are to reach sigwait below.
    stop = {signal.SIGTERM, signal.SIGINT}
    signal.pthread_sigmask(signal.SIG_BLOCK, stop)
    server = grpc.server(concurrent.futures.ThreadPoolExecutor(max_workers=8),
                         options=[("grpc.max_receive_message_length", 64 << 20)])
    verifier_pb2_grpc.add_VerifierServicer_to_server(Verifier(), server)
    port = server.add_insecure_port(flags.listen)
    server.start()
    address = f"{flags.listen.rpartition(':')[0]}:{port}"
    print(f"listening on {address}", file=sys.stderr)
    if flags.port_file:
        # Whole or not at all: who reads it must not see half an address.
        pathlib.Path(flags.port_file + ".new").write_text(address)
        os.rename(flags.port_file + ".new", flags.port_file)
    signal.sigwait(stop)
    server.stop(grace=10).wait()


if __name__ == "__main__":
    main()
