#include "deploy/own_verifier.h"

#include <stdlib.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>
#include <system_error>

#include "absl/cleanup/cleanup.h"
#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "base/atomic_file.h"
#include "base/status.h"
#include "base/steady_clock.h"

namespace ponder::deploy {
namespace {

namespace fs = std::filesystem;

constexpr absl::Duration kStartDeadline = absl::Seconds(10);

}  // namespace

absl::StatusOr<std::unique_ptr<OwnVerifier>> OwnVerifier::Start(int threads) {
  std::error_code error;
  const std::string binary =
      fs::read_symlink("/proc/self/exe", error).replace_filename("ponder-verifier").string();
  if (error || access(binary.c_str(), X_OK) != 0) {
    return absl::NotFoundError(
        absl::StrCat(binary, " is not there; build it, or name a running one with --verifier"));
  }
  std::string folder = (fs::temp_directory_path() / "ponder-verifier.XXXXXX").string();
  if (mkdtemp(folder.data()) == nullptr)
    return ErrnoStatus(errno, absl::StrCat("can't make folder ", folder));
  // Once the verifier listens its port file and log have done their work.
  const absl::Cleanup remover = [&folder] {
    std::error_code ignored;
    fs::remove_all(folder, ignored);
  };
  PONDER_ASSIGN_OR_RETURN(auto supervisor, Supervisor::Create({}));
  ChildSpec spec;
  spec.name = "verifier";
  spec.log_path = folder + "/log";
  spec.port_file = folder + "/port";
  spec.argv = {binary,        "serve",        "--listen",  "127.0.0.1:0",
               "--port-file", spec.port_file, "--threads", absl::StrCat(threads)};
  PONDER_RETURN_IF_ERROR(supervisor->Start(spec));
  PONDER_ASSIGN_OR_RETURN(std::string address,
                          supervisor->WaitForPort(spec.name, SteadyNow() + kStartDeadline));
  return std::unique_ptr<OwnVerifier>(new OwnVerifier(std::move(supervisor), std::move(address)));
}

}  // namespace ponder::deploy
