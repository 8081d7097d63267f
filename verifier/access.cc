#include "verifier/access.h"

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "base/atomic_file.h"
#include "base/status.h"
#include "grpcpp/security/server_credentials.h"

namespace ponder::verifier {
namespace {

absl::Status ReadPem(const std::string& path, std::string* text) {
  if (path.empty()) return absl::OkStatus();
  PONDER_ASSIGN_OR_RETURN(*text, ReadFile(path));
  if (text->find("-----BEGIN ") != std::string::npos) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat(path, " is not a PEM file"));
}

}  // namespace

absl::StatusOr<Access> Access::Load(const Options& options) {
  if (options.tls_cert.empty() != options.tls_key.empty())
    return absl::InvalidArgumentError("TLS needs both a certificate and its key");
  if (options.tls_key.empty() && !options.client_ca.empty())
    return absl::InvalidArgumentError("client certificates need TLS: give a certificate and a key");
  Access made;
  PONDER_RETURN_IF_ERROR(ReadPem(options.tls_cert, &made.cert_));
  PONDER_RETURN_IF_ERROR(ReadPem(options.tls_key, &made.key_));
  PONDER_RETURN_IF_ERROR(ReadPem(options.client_ca, &made.client_ca_));
  if (!options.token_file.empty()) {
    PONDER_ASSIGN_OR_RETURN(const std::string text, ReadFile(options.token_file));
    made.token_ = std::string(absl::StripAsciiWhitespace(text));
    if (made.token_.empty())
      return absl::InvalidArgumentError(absl::StrCat(options.token_file, " holds no token"));
  }
  return made;
}

std::shared_ptr<grpc::ServerCredentials> Access::credentials() const {
  if (!has_tls()) return grpc::InsecureServerCredentials();
  grpc::SslServerCredentialsOptions options(
      client_ca_.empty() ? GRPC_SSL_DONT_REQUEST_CLIENT_CERTIFICATE
                         : GRPC_SSL_REQUEST_AND_REQUIRE_CLIENT_CERTIFICATE_AND_VERIFY);
  options.pem_root_certs = client_ca_;
  options.pem_key_cert_pairs = {{key_, cert_}};
  return grpc::SslServerCredentials(options);
}

absl::Status Access::Check(const grpc::ServerContextBase& context) const {
  if (token_.empty()) return absl::OkStatus();
  const auto found = context.client_metadata().find("authorization");
  if (found == context.client_metadata().end())
    return absl::UnauthenticatedError("no token: send 'authorization: Bearer <token>'");
  const std::string expected = absl::StrCat("Bearer ", token_);
  const absl::string_view given(found->second.data(), found->second.size());
  unsigned differences = given.size() != expected.size();
  for (size_t i = 0; i < expected.size() && i < given.size(); ++i)
    differences |= static_cast<unsigned char>(given[i] ^ expected[i]);
  if (differences == 0) return absl::OkStatus();
  return absl::UnauthenticatedError("wrong token");
}

}  // namespace ponder::verifier
