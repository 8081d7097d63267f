#include "deploy/run_folder.h"

#include <filesystem>
#include <system_error>

#include "absl/strings/str_cat.h"
#include "base/atomic_file.h"
#include "base/status.h"

namespace ponder::deploy {

namespace fs = std::filesystem;

absl::StatusOr<RunFolder> NewRunFolder(const std::string& root) {
  std::error_code error;
  if (fs::exists(root, error) && !fs::is_empty(root, error)) {
    return absl::AlreadyExistsError(
        absl::StrCat(root, " is not empty; go on with `ponder run --resume ", root,
                     "`, delete it, or give another folder with --out"));
  }
  RunFolder folder{root};
  for (const char* name : {"data", "models", "checkpoints", "logs", "ports"}) {
    PONDER_RETURN_IF_ERROR(MakeFolder(absl::StrCat(root, "/", name)));
  }
  return folder;
}

absl::StatusOr<RunFolder> OpenRunFolder(const std::string& root) {
  RunFolder folder{root};
  std::error_code error;
  if (!fs::exists(folder.config(), error)) {
    return absl::NotFoundError(absl::StrCat("no run to resume in ", root, ": ", folder.config(),
                                            " is missing; start one with --config and --out"));
  }
  return folder;
}

}  // namespace ponder::deploy
