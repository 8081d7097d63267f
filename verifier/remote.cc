#include "verifier/remote.h"

#include <algorithm>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "base/atomic_file.h"
#include "base/status.h"
#include "base/steady_clock.h"
#include "grpcpp/grpcpp.h"
#include "proto/convert.h"
#include "proto/transport.h"

namespace ponder::verifier {
namespace {

constexpr absl::Duration kFirstPause = absl::Milliseconds(10), kLongestPause = absl::Seconds(1);

absl::Status ReadIfNamed(const std::string& path, std::string* text) {
  if (path.empty()) return absl::OkStatus();
  PONDER_ASSIGN_OR_RETURN(*text, ReadFile(path));
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<std::unique_ptr<RemoteVerifier>> RemoteVerifier::Create(const Options& options) {
  std::string token;
  PONDER_RETURN_IF_ERROR(ReadIfNamed(options.token_file, &token));
  std::shared_ptr<grpc::ChannelCredentials> credentials = grpc::InsecureChannelCredentials();
  if (!options.tls_ca.empty()) {
    grpc::SslCredentialsOptions ssl;
    PONDER_RETURN_IF_ERROR(ReadIfNamed(options.tls_ca, &ssl.pem_root_certs));
    PONDER_RETURN_IF_ERROR(ReadIfNamed(options.tls_cert, &ssl.pem_cert_chain));
    PONDER_RETURN_IF_ERROR(ReadIfNamed(options.tls_key, &ssl.pem_private_key));
    credentials = grpc::SslCredentials(ssl);
  }
  grpc::ChannelArguments arguments;
  arguments.SetMaxSendMessageSize(proto::kMaxMessageBytes);
  arguments.SetMaxReceiveMessageSize(proto::kMaxMessageBytes);
  return std::unique_ptr<RemoteVerifier>(new RemoteVerifier(
      v1::Verifier::NewStub(grpc::CreateCustomChannel(options.address, credentials, arguments)),
      std::string(absl::StripAsciiWhitespace(token)), options.timeout));
}

absl::StatusOr<Verdict> RemoteVerifier::Grade(const LineQuestion& question) const {
  v1::GradeRequest request;
  request.set_kind(question.kind);
  request.set_gold(proto::ValidUtf8(question.gold));
  request.set_response(proto::ValidUtf8(question.response));
  if (request.ByteSizeLong() > static_cast<size_t>(proto::kMaxMessageBytes))
    return absl::InvalidArgumentError("too long for one message");
  const absl::Time deadline = SteadyNow() + timeout_;
  absl::Duration pause = kFirstPause;
  while (true) {
    grpc::ClientContext context;
    context.set_deadline(proto::ToGrpc(deadline));
    if (!token_.empty()) context.AddMetadata("authorization", absl::StrCat("Bearer ", token_));
    v1::GradeResponse response;
    const absl::Status status = proto::FromGrpc(stub_->Grade(&context, request, &response));
    if (status.ok()) return proto::FromWire(response.verdict());
    if (!absl::IsResourceExhausted(status) || SteadyNow() + pause >= deadline) return status;
    absl::SleepFor(pause);
    pause = std::min(pause * 2, kLongestPause);
  }
}

}  // namespace ponder::verifier
