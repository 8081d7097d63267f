// Who may call: TLS with real certificates, client certificates, tokens.
#include <stdlib.h>

#include <filesystem>
#include <memory>
#include <string>

#include "absl/strings/str_cat.h"
#include "base/atomic_file.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/verifier/server_fixture.h"
#include "verifier/remote.h"

namespace ponder::verifier {
namespace access_test {

// Two authorities; of the first a certificate for this host and one for a client.
constexpr char kMakeCertificates[] = R"(set -e; cd "$1"
for ca in ca other; do
  openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -keyout $ca.key \
    -out $ca.pem -days 2 -subj "/CN=$ca"
done
echo "subjectAltName=DNS:localhost,IP:127.0.0.1" > names
for of in server client; do
  openssl req -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -keyout $of.key -out $of.csr \
    -subj "/CN=$of"
  openssl x509 -req -in $of.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 2 -extfile names \
    -out $of.pem
done)";

class AccessTest : public ServerTest {
 protected:
  void SetUp() override {
    std::string folder = testing::TempDir() + "verifier_access_XXXXXX";
    ASSERT_NE(mkdtemp(folder.data()), nullptr);
    folder_ = folder;
    remote_.timeout = absl::Seconds(30);
  }
  void TearDown() override { std::filesystem::remove_all(folder_); }

  std::string File(absl::string_view name) const { return absl::StrCat(folder_, "/", name); }
  void MakeCertificates() {
    ASSERT_TRUE(WriteFileAtomic(File("make.sh"), kMakeCertificates).ok());
    ASSERT_EQ(
        system(absl::StrCat("bash ", File("make.sh"), " ", folder_, " >/dev/null 2>&1").c_str()),
        0);
  }
  void StartTlsServer() {
    MakeCertificates();
    options_.access.tls_cert = File("server.pem");
    options_.access.tls_key = File("server.key");
    StartServer();
  }
  // A call as remote_ says.
  absl::Status Call() {
    remote_.address = server_->address();
    const auto remote = RemoteVerifier::Create(remote_);
    if (!remote.ok()) return remote.status();
    return (*remote)->Grade({"math", "4", "\\boxed{4}"}).status();
  }
  absl::Status StartStatus() { return Server::Start(options_, *graders_, &counters_).status(); }

  std::string folder_;
  RemoteVerifier::Options remote_;
};

TEST_F(AccessTest, ServesOverTls) {
  StartTlsServer();
  remote_.tls_ca = File("ca.pem");
  EXPECT_TRUE(Call().ok()) << Call();
  remote_.timeout = absl::Seconds(1);
  remote_.tls_ca = File("other.pem");
  EXPECT_FALSE(Call().ok());
  remote_.tls_ca = "";
  EXPECT_FALSE(Call().ok());
}

TEST_F(AccessTest, AsksForAClientCertificate) {
  options_.access.client_ca = File("ca.pem");
  StartTlsServer();
  remote_.tls_ca = File("ca.pem");
  remote_.tls_cert = File("client.pem");
  remote_.tls_key = File("client.key");
  EXPECT_TRUE(Call().ok()) << Call();
  remote_.timeout = absl::Seconds(1);
  remote_.tls_cert = remote_.tls_key = "";
  EXPECT_FALSE(Call().ok());
  remote_.tls_cert = File("other.pem");
  remote_.tls_key = File("other.key");
  EXPECT_FALSE(Call().ok());
}

TEST_F(AccessTest, AsksForAToken) {
  ASSERT_TRUE(WriteFileAtomic(File("token"), "secret\n").ok());
  ASSERT_TRUE(WriteFileAtomic(File("wrong"), "secreT\n").ok());
  ASSERT_TRUE(WriteFileAtomic(File("longer"), "secrets\n").ok());
  options_.access.token_file = File("token");
  StartServer();
  remote_.token_file = File("token");
  EXPECT_TRUE(Call().ok()) << Call();
  for (const std::string& wrong : {File("wrong"), File("longer"), std::string()}) {
    remote_.token_file = wrong;
    EXPECT_TRUE(absl::IsUnauthenticated(Call())) << wrong << ": " << Call();
  }
  // Batches and streams too.
  grpc::ClientContext batch_context, stream_context;
  v1::GradeBatchResponse batch;
  EXPECT_EQ(stub_->GradeBatch(&batch_context, {}, &batch).error_code(),
            grpc::StatusCode::UNAUTHENTICATED);
  auto stream = stub_->GradeStream(&stream_context);
  v1::GradeResponse response;
  EXPECT_FALSE(stream->Read(&response));
  EXPECT_EQ(stream->Finish().error_code(), grpc::StatusCode::UNAUTHENTICATED);
}

TEST_F(AccessTest, SaysWhatDoesNotGoTogether) {
  graders_ = std::make_unique<Graders>(MakeGraders());
  MakeCertificates();
  options_.access.tls_cert = File("server.pem");
  EXPECT_TRUE(absl::IsInvalidArgument(StartStatus())) << StartStatus();
  options_.access.tls_key = File("client.key");  // not its key
  EXPECT_TRUE(absl::IsUnavailable(StartStatus())) << StartStatus();
  EXPECT_THAT(std::string(StartStatus().message()), testing::HasSubstr(File("client.key")));
  options_.access = {};
  options_.access.client_ca = File("ca.pem");
  EXPECT_TRUE(absl::IsInvalidArgument(StartStatus())) << StartStatus();
  options_.access = {};
  options_.access.token_file = File("missing");
  EXPECT_TRUE(absl::IsNotFound(StartStatus())) << StartStatus();
  ASSERT_TRUE(WriteFileAtomic(File("empty"), "\n").ok());
  options_.access.token_file = File("empty");
  EXPECT_TRUE(absl::IsInvalidArgument(StartStatus())) << StartStatus();
}

}  // namespace access_test
}  // namespace ponder::verifier
