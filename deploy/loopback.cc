// The whole of Ponder in one process, on one page: read this first.
//
// A learner, an actor and a verifier, wired without a network. They are the same machines that `ponder run` starts as
// processes; only the links between them are calls instead of gRPC. It trains a tiny model for a few steps.
//
//   loopback FOLDER [STEPS]
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <string>
#include <thread>
#include <utility>

#include "absl/strings/str_cat.h"
#include "actor/rollout_loop.h"
#include "base/atomic_file.h"
#include "base/metrics.h"
#include "base/status.h"
#include "comm/group.h"
#include "data/tasks.h"
#include "deploy/local_links.h"
#include "deploy/model_shape.h"
#include "learner/ledger.h"
#include "learner/mesh.h"
#include "learner/sample_pool.h"
#include "learner/train_loop.h"
#include "learner/updater.h"
#include "learner/weight_store.h"
#include "moe/decoder.h"
#include "moe/weights.h"

namespace ponder {
namespace {

absl::Status Loopback(const std::string& folder, int64_t steps) {
  constexpr uint64_t kSeed = 1;
  PONDER_RETURN_IF_ERROR(MakeFolder(folder));

  // The questions.
  PONDER_ASSIGN_OR_RETURN(const data::TaskSet task, data::MakeTaskSet("sum3", /*train=*/1000, /*eval=*/100, kSeed));
  std::vector<Prompt> prompts;
  for (const data::Trace& trace : task.train) prompts.push_back(trace.prompt);

  // The model: two layers, random.
  v1::ModelShape shape;
  shape.set_hidden_size(64);
  shape.set_num_hidden_layers(2);
  shape.set_moe_intermediate_size(64);
  const moe::ModelConfig config = deploy::ModelConfigOf(shape);
  const std::shared_ptr<const moe::Weights> initial = moe::InitWeights(config, kSeed);

  // The learner: one rank, its optimizer, the pool that hands out prompts, the weights that it publishes, its log.
  PONDER_ASSIGN_OR_RETURN(const learner::Mesh mesh, learner::MakeMesh(comm::MakeSoloGroup(), /*expert_parallel=*/1));
  PONDER_ASSIGN_OR_RETURN(const auto decoder, moe::Decoder::Make(config, *initial, {}));
  learner::Updater updater({}, *decoder, mesh);
  learner::SamplePool::Options pool_options;
  pool_options.groups_per_step = 4;
  pool_options.dynamic_sampling = false;  // a random model answers nothing right: every group would be dropped
  PONDER_ASSIGN_OR_RETURN(auto ledger, learner::Ledger::Open(folder + "/pool.db"));
  PONDER_ASSIGN_OR_RETURN(const auto pool, learner::SamplePool::Make(pool_options, prompts, std::move(ledger), {}));
  learner::WeightStore weights(config.ToJson());
  PONDER_ASSIGN_OR_RETURN(const auto metrics, MetricsLog::Open(folder + "/metrics.jsonl"));
  learner::TrainLoop::Options train_options;
  train_options.steps = steps;
  train_options.reward.max_response_tokens = 32;
  train_options.reward.overlong_cache = 8;
  train_options.checkpoints = folder + "/checkpoints";
  learner::TrainLoop train(train_options, {}, *decoder, updater, mesh, {pool.get(), &weights, metrics.get()});

  // The actor, its links to the two others, and the verifier behind one of them.
  deploy::LocalLearnerLink to_learner("actor.0", *pool, weights);
  deploy::LocalVerifierLink to_verifier;
  actor::RolloutLoop::Options actor_options;
  actor_options.seed = kSeed;
  actor_options.max_response_tokens = 32;
  actor::RolloutLoop rollouts(actor_options, to_learner, to_verifier);

  // Go: the actor on a thread of its own, the learner on this one.
  absl::Status acted;
  std::thread actor([&] { acted = rollouts.Run(); });
  absl::Status trained = train.Run();
  if (trained.ok()) trained = pool->Finish();
  rollouts.Stop();
  pool->Close();
  weights.Close();
  actor.join();
  PONDER_RETURN_IF_ERROR(trained);
  return acted;
}

}  // namespace
}  // namespace ponder

int main(int argc, char** argv) {
  if (argc < 2 || argc > 3) {
    std::fprintf(stderr, "usage: loopback FOLDER [STEPS]\n");
    return 2;
  }
  const absl::Status status = ponder::Loopback(argv[1], argc > 2 ? std::atoll(argv[2]) : 3);
  if (!status.ok()) {
    std::fprintf(stderr, "loopback: %s\n", std::string(status.message()).c_str());
    return 1;
  }
  std::printf("done; see %s/metrics.jsonl and %s/pool.db\n", argv[1], argv[1]);
  return 0;
}
