// The stages of ponder-learner, wired by hand.
#pragma once

#include <string>

#include "absl/status/status.h"
#include "proto/config.pb.h"

namespace ponder::deploy {

struct StageArguments {
  v1::Config config;
  std::string run;        // folder: data/, checkpoints/, metrics.jsonl, pool.db
  std::string model;      // folder to start from
  std::string out;        // folder for the trained model
  std::string port_file;  // RL: written with host:port once serving
  bool resume = false;
  std::string data;   // dialogues or preferences; empty in SFT: the run's own traces
  double beta = 0.1;  // DPO
};

// Cancelled: stopped by SIGTERM or SIGINT, after a checkpoint.
absl::Status RunSft(const StageArguments& arguments);
absl::Status RunRl(const StageArguments& arguments);
// DPO, or the training of a reward model.
absl::Status RunPreference(const StageArguments& arguments, bool dpo);

}  // namespace ponder::deploy
