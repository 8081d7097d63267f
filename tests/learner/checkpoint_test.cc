// Promise 4 for the learner's own state: save, load, and go on with the same bits as if nothing had
// happened.
#include "learner/checkpoint.h"

#include <ATen/ATen.h>

#include <filesystem>
#include <fstream>
#include <numeric>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/status.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "learner_fixture.h"

namespace ponder::learner {
namespace checkpoint_test {

namespace fs = std::filesystem;

std::string FreshFolder(const std::string& name) {
  const std::string folder = testing::TempDir() + "/ponder_checkpoint_" + name;
  fs::remove_all(folder);
  return folder;
}

absl::Status Train(TestRank& rank, uint64_t from, uint64_t to) {
  for (uint64_t step = from; step < to; ++step) {
    PONDER_RETURN_IF_ERROR(rank.updater->SupervisedUpdate(RandomBatch(step + 1, 6), 1e-2).status());
  }
  return absl::OkStatus();
}

TEST(TrainingCheckpoint, GoesOnWithTheSameBits) {
  const std::string folder = FreshFolder("resume");
  std::vector<uint8_t> straight, resumed;
  auto statuses = OnRanks(1, 1, {}, [&](TestRank& rank) -> absl::Status {
    PONDER_RETURN_IF_ERROR(Train(rank, 0, 3));
    PONDER_RETURN_IF_ERROR(SaveTraining(folder, {3, 5, 77, 3}, *rank.decoder,
                                        rank.updater->optimizer(), rank.mesh, 2));
    PONDER_RETURN_IF_ERROR(Train(rank, 3, 6));
    PONDER_ASSIGN_OR_RETURN(auto weights, rank.decoder->Export(1));
    straight = *weights->blob();
    return absl::OkStatus();
  });
  ASSERT_TRUE(statuses[0].ok()) << statuses[0];
  statuses = OnRanks(1, 1, {}, [&](TestRank& rank) -> absl::Status {
    PONDER_ASSIGN_OR_RETURN(const auto newest, NewestCheckpoint(folder));
    if (!newest.has_value()) return absl::NotFoundError("no checkpoint");
    PONDER_ASSIGN_OR_RETURN(const TrainState state, LoadTrainState(*newest));
    EXPECT_EQ(state.step, 3);
    EXPECT_EQ(state.version, 5);
    EXPECT_EQ(state.next_group_id, 77);
    PONDER_ASSIGN_OR_RETURN(const moe::Model model, moe::LoadModel(*newest));
    PONDER_RETURN_IF_ERROR(rank.decoder->Load(*model.weights));
    PONDER_RETURN_IF_ERROR(LoadOptimizer(*newest, *rank.decoder, &rank.updater->optimizer()));
    rank.updater->optimizer().set_step(state.optimizer_step);
    PONDER_RETURN_IF_ERROR(Train(rank, 3, 6));
    PONDER_ASSIGN_OR_RETURN(auto weights, rank.decoder->Export(1));
    resumed = *weights->blob();
    return absl::OkStatus();
  });
  ASSERT_TRUE(statuses[0].ok()) << statuses[0];
  EXPECT_EQ(straight, resumed);
}

TEST(TrainingCheckpoint, OneFileServesEveryLayout) {
  const std::string folder = FreshFolder("layout");
  auto statuses = OnRanks(2, 2, {}, [&](TestRank& rank) -> absl::Status {
    PONDER_RETURN_IF_ERROR(Train(rank, 0, 2));
    return SaveTraining(folder, {2, 2, 0, 2}, *rank.decoder, rank.updater->optimizer(), rank.mesh,
                        2);
  });
  for (const auto& status : statuses) ASSERT_TRUE(status.ok()) << status;
  statuses = OnRanks(1, 1, {}, [&](TestRank& rank) -> absl::Status {
    PONDER_RETURN_IF_ERROR(Train(rank, 0, 2));  // the same updates without expert parallelism
    AdamW::Options options;
    AdamW loaded(options, rank.decoder->parameters(), rank.decoder->pool());
    PONDER_RETURN_IF_ERROR(
        LoadOptimizer(*NewestCheckpoint(folder).value(), *rank.decoder, &loaded));
    for (size_t i = 0; i < loaded.moments().size(); ++i) {
      const at::Tensor& want = rank.updater->optimizer().moments()[i].exp_avg;
      const double error = (loaded.moments()[i].exp_avg - want).abs().max().item<double>();
      EXPECT_LE(error, 1e-5 * want.abs().max().item<double>() + 1e-9)
          << rank.decoder->parameters()[i].name;
    }
    return absl::OkStatus();
  });
  EXPECT_TRUE(statuses[0].ok()) << statuses[0];
}

TEST(TrainingCheckpoint, KeepsTheNewest) {
  const std::string folder = FreshFolder("keep");
  EXPECT_FALSE(NewestCheckpoint(folder)->has_value());
  const auto statuses = OnRanks(1, 1, {}, [&](TestRank& rank) -> absl::Status {
    for (int64_t step = 1; step <= 4; ++step) {
      PONDER_RETURN_IF_ERROR(SaveTraining(folder, {step, step, 0, 0}, *rank.decoder,
                                          rank.updater->optimizer(), rank.mesh, 2));
    }
    return absl::OkStatus();
  });
  ASSERT_TRUE(statuses[0].ok()) << statuses[0];
  std::vector<std::string> left;
  for (const auto& entry : fs::directory_iterator(folder)) left.push_back(entry.path().filename());
  EXPECT_THAT(left, testing::UnorderedElementsAre("step-000003", "step-000004"));
  EXPECT_THAT(NewestCheckpoint(folder)->value(), testing::EndsWith("step-000004"));
}

TEST(TrainingCheckpoint, OneFlippedByteIsNamed) {
  const std::string folder = FreshFolder("flip");
  const auto statuses = OnRanks(1, 1, {}, [&](TestRank& rank) {
    return SaveTraining(folder, {1, 1, 0, 0}, *rank.decoder, rank.updater->optimizer(), rank.mesh,
                        2);
  });
  ASSERT_TRUE(statuses[0].ok()) << statuses[0];
  // Reads all that a resumed run does.
  const auto resume = [&] {
    return OnRanks(1, 1, {}, [&](TestRank& rank) {
      const std::string newest = folder + "/step-000001";
      PONDER_ASSIGN_OR_RETURN(const moe::Model model, moe::LoadModel(newest));
      PONDER_RETURN_IF_ERROR(rank.decoder->Load(*model.weights));
      PONDER_RETURN_IF_ERROR(LoadTrainState(newest).status());
      return LoadOptimizer(newest, *rank.decoder, &rank.updater->optimizer());
    })[0];
  };
  for (const char* file :
       {"model.safetensors", "optimizer.safetensors", "state.json", "config.json"}) {
    const std::string path = absl::StrCat(folder, "/step-000001/", file);
    const auto flip = [&path] {
      std::fstream stream(path, std::ios::in | std::ios::out | std::ios::binary);
      stream.seekg(-40, std::ios::end);
      const char byte = static_cast<char>(stream.get() ^ 1);
      stream.seekp(-40, std::ios::end);
      stream.put(byte);
    };
    flip();
    const absl::Status status = resume();
    EXPECT_TRUE(absl::IsDataLoss(status)) << file << ": " << status;
    EXPECT_THAT(std::string(status.message()), testing::HasSubstr(file));
    flip();
    EXPECT_TRUE(resume().ok());
  }
}

}  // namespace checkpoint_test
}  // namespace ponder::learner
