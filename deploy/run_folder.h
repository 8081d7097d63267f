// RunFolder: where everything of a run lies. A value.
#pragma once

#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace ponder::deploy {

struct RunFolder {
  std::string root;

  std::string config() const { return root + "/config.yaml"; }  // resolved
  std::string metrics() const { return root + "/metrics.jsonl"; }
  std::string pool() const { return root + "/pool.db"; }
  std::string summary() const { return root + "/summary.json"; }
  std::string train_prompts() const { return root + "/data/train.jsonl"; }
  std::string eval_prompts() const { return root + "/data/eval.jsonl"; }  // may be absent
  std::string traces() const { return root + "/data/sft.jsonl"; }
  std::string model(const std::string& name) const {
    return root + "/models/" + name;
  }  // init, sft, final
  std::string adapter() const { return root + "/adapter"; }  // of LoRA
  std::string checkpoints(const std::string& stage) const { return root + "/checkpoints/" + stage; }
  std::string log(const std::string& process) const { return root + "/logs/" + process + ".log"; }
  std::string port_file(const std::string& process) const { return root + "/ports/" + process; }
};

// Makes the folders of a new run. AlreadyExists: `root` has files in it; PermissionDenied,
// ResourceExhausted: can't be written.
absl::StatusOr<RunFolder> NewRunFolder(const std::string& root);
// An existing run. NotFound: there is none at `root`.
absl::StatusOr<RunFolder> OpenRunFolder(const std::string& root);

}  // namespace ponder::deploy
