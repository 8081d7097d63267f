// A verifier that runs elsewhere, called as its users call it.
#pragma once

#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "base/types.h"
#include "proto/verifier.grpc.pb.h"
#include "verifier/offline.h"

namespace ponder::verifier {

// A machine, thread-safe: one channel. Answers that were refused because a queue was full are asked
// for again until the deadline.
class RemoteVerifier {
 public:
  struct Options {
    std::string address;   // host:port
    std::string tls_ca;    // PEM file: who may have signed the server's certificate; empty: no TLS
    std::string tls_cert;  // PEM files: what we show of ourselves, with tls_key; may be empty
    std::string tls_key;
    std::string token_file;  // what it holds is sent as bearer token; may be empty
    absl::Duration timeout = absl::Seconds(120);  // of one call
  };
  // Reads the files; doesn't connect yet.
  static absl::StatusOr<std::unique_ptr<RemoteVerifier>> Create(const Options& options);

  absl::StatusOr<Verdict> Grade(const LineQuestion& question) const;

 private:
  RemoteVerifier(std::unique_ptr<v1::Verifier::Stub> stub, std::string token,
                 absl::Duration timeout)
      : stub_(std::move(stub)), token_(std::move(token)), timeout_(timeout) {}

  const std::unique_ptr<v1::Verifier::Stub> stub_;
  const std::string token_;
  const absl::Duration timeout_;
};

}  // namespace ponder::verifier
