// Who may call the service, and over which wire: TLS, client certificates, a bearer token.
#pragma once

#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "grpcpp/grpcpp.h"

namespace ponder::verifier {

// A value, never changed once made; thread-safe.
class Access {
 public:
  struct Options {
    std::string tls_cert;   // PEM file: the server's certificate chain; with tls_key. Empty: no TLS
    std::string tls_key;    // PEM file
    std::string client_ca;  // PEM file: clients must show a certificate that one of these signed
    std::string token_file;  // calls must carry "authorization: Bearer <what this file holds>"
  };
  // Reads the files. InvalidArgument: options that don't go together, or an empty token.
  static absl::StatusOr<Access> Load(const Options& options);

  std::shared_ptr<grpc::ServerCredentials> credentials() const;
  bool has_tls() const { return !key_.empty(); }
  // Unauthenticated: no token, or another one. Takes as long for any wrong token of the same
  // length.
  absl::Status Check(const grpc::ServerContextBase& context) const;

 private:
  std::string cert_, key_, client_ca_, token_;
};

}  // namespace ponder::verifier
