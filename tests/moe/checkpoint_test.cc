#include "moe/checkpoint.h"

#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <functional>
#include <map>

#include "absl/strings/str_cat.h"
#include "base/atomic_file.h"
#include "base/status.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "moe/inference.h"
#include "moe/model_files.h"
#include "moe/safetensors.h"
#include "moe/tensor_reader.h"

namespace ponder::moe {
namespace checkpoint_test {

namespace fs = std::filesystem;
using ::testing::HasSubstr;
using ::testing::UnorderedElementsAre;

Model SmallModel(uint64_t seed) {
  ModelConfig config;
  config.vocab_size = 8;
  config.hidden_size = 4;
  config.num_hidden_layers = 1;
  config.num_attention_heads = 2;
  config.num_key_value_heads = 1;
  config.head_dim = 2;
  config.num_experts = 2;
  config.num_experts_per_tok = 1;
  config.moe_intermediate_size = 2;
  config.max_position_embeddings = 8;
  return Model{config, InitWeights(config, seed)};
}

// Every tensor's name and bytes.
std::map<std::string, std::string> Bytes(const Weights& weights) {
  std::map<std::string, std::string> bytes;
  for (size_t i = 0; i < weights.manifest().tensors.size(); ++i) {
    const absl::Span<const uint8_t> tensor = weights.bytes(i);
    bytes[weights.manifest().tensors[i].name].assign(tensor.begin(), tensor.end());
  }
  return bytes;
}

std::vector<std::string> Names(const std::string& folder) {
  std::vector<std::string> names;
  for (const auto& entry : fs::directory_iterator(folder)) names.push_back(entry.path().filename());
  return names;
}

class CheckpointTest : public ::testing::Test {
 protected:
  void SetUp() override {
    root_ = absl::StrCat(::testing::TempDir(), "/ponder_checkpoint.", getpid());
    fs::remove_all(root_);
    fs::create_directories(root_);
  }
  void TearDown() override { fs::remove_all(root_); }
  std::string root_;
};

TEST_F(CheckpointTest, LoadsWhatWasSaved) {
  const Model model = SmallModel(3);
  const std::string folder = root_ + "/a";
  ASSERT_TRUE(SaveModel(folder + "/", model).ok());
  EXPECT_THAT(Names(folder),
              UnorderedElementsAre("config.json", "model.safetensors", "checksums.json"));
  EXPECT_THAT(Names(root_), UnorderedElementsAre("a"));
  const auto back = LoadModel(folder);
  ASSERT_TRUE(back.ok()) << back.status();
  EXPECT_EQ(back->config.ToJson(), model.config.ToJson());
  EXPECT_EQ(Bytes(*back->weights), Bytes(*model.weights));
}

TEST_F(CheckpointTest, ReplacesAnOlderOne) {
  const std::string folder = root_ + "/a";
  ASSERT_TRUE(SaveModel(folder, SmallModel(1)).ok());
  fs::create_directories(folder + ".partial");  // left by a crash
  ASSERT_TRUE(WriteFileAtomic(folder + ".partial/model.safetensors", "half").ok());
  ASSERT_TRUE(SaveModel(folder, SmallModel(2)).ok());
  EXPECT_EQ(Bytes(*LoadModel(folder)->weights), Bytes(*SmallModel(2).weights));
  EXPECT_THAT(Names(root_), UnorderedElementsAre("a"));
}

TEST_F(CheckpointTest, NeverReplacesWhatItDidNotWrite) {
  const std::string folder = root_ + "/a";
  ASSERT_TRUE(SaveModel(folder, SmallModel(1)).ok());
  ASSERT_TRUE(WriteFileAtomic(folder + "/thesis.txt", "years of work").ok());
  const absl::Status status = SaveModel(folder, SmallModel(2));
  EXPECT_TRUE(absl::IsFailedPrecondition(status)) << status;
  EXPECT_THAT(status.message(), HasSubstr("thesis.txt"));
  EXPECT_EQ(Bytes(*LoadModel(folder)->weights), Bytes(*SmallModel(1).weights));
  ASSERT_TRUE(WriteFileAtomic(root_ + "/file", "x").ok());
  EXPECT_TRUE(absl::IsFailedPrecondition(SaveModel(root_ + "/file", SmallModel(2))));
}

// Opens the folder's model and reads every tensor.
absl::Status ReadAll(const std::string& folder) {
  PONDER_ASSIGN_OR_RETURN(const Model model, LoadModel(folder));
  for (const TensorSpec& tensor : model.weights->manifest().tensors) {
    std::vector<float> values((tensor.end - tensor.begin) / sizeof(float));
    const absl::Status copied = model.weights->CopyF32(tensor.name, absl::MakeSpan(values));
    // Whichever way it is read.
    EXPECT_EQ(model.weights->F32(tensor.name).status(), copied);
    PONDER_ASSIGN_OR_RETURN(
        TensorReader reader,
        TensorReader::Open(*model.weights, tensor.name, static_cast<int64_t>(values.size()), 7));
    std::vector<float> again(values.size());
    for (int64_t i = reader.blocks(); i-- > 0;) reader.Copy(i, again.data() + i * 7);
    EXPECT_EQ(reader.Finish(), copied);
    PONDER_RETURN_IF_ERROR(copied);
    EXPECT_EQ(again, values);
  }
  return model.weights->VerifyChecksums();
}

TEST_F(CheckpointTest, EveryFlippedByteIsNamed) {
  const std::string folder = root_ + "/a";
  FolderFiles files = ModelFiles(SmallModel(1));
  files["tokenizer.json"] = std::string("words");
  ASSERT_TRUE(WriteCheckedFolder(folder, files).ok());
  ASSERT_TRUE(ReadAll(folder).ok());
  for (const std::string& name : Names(folder)) {
    const std::string path = absl::StrCat(folder, "/", name);
    const std::string good = *ReadFile(path);
    for (size_t at = 0; at < good.size(); ++at) {
      std::string bad = good;
      bad[at] = static_cast<char>(bad[at] ^ (1 << at % 8));
      // Written in place: renaming and syncing for each byte would take a minute.
      FILE* file = fopen(path.c_str(), "w");
      fwrite(bad.data(), 1, bad.size(), file);
      fclose(file);
      const absl::Status status = ReadAll(folder);
      ASSERT_TRUE(absl::IsDataLoss(status)) << name << " byte " << at << ": " << status;
      ASSERT_THAT(status.message(), HasSubstr(name)) << "byte " << at;
      ASSERT_THAT(status.message(), ::testing::Not(HasSubstr("\n")));
    }
    ASSERT_TRUE(WriteFileAtomic(path, good.substr(0, good.size() / 2)).ok());
    ASSERT_THAT(ReadAll(folder).message(), HasSubstr(name));
    fs::remove(path);
    if (name != kChecksumsFile) {
      ASSERT_THAT(ReadAll(folder).message(), HasSubstr(name));
    }
    ASSERT_TRUE(WriteFileAtomic(path, good).ok());
  }
}

TEST_F(CheckpointTest, WhoReadsATensorReadsNoOther) {
  const std::string folder = root_ + "/a";
  ASSERT_TRUE(SaveModel(folder, SmallModel(1)).ok());
  const std::string path = folder + "/model.safetensors";
  std::string bytes = *ReadFile(path);
  const auto file = ParseSafetensorsHeader(bytes);
  ASSERT_TRUE(file.ok());
  const std::string damaged = "model.layers.0.mlp.experts.1.up_proj.weight";
  for (const SafetensorsTensor& tensor : file->tensors)
    if (tensor.name == damaged) bytes[file->data_begin + tensor.begin] ^= 1;
  ASSERT_TRUE(WriteFileAtomic(path, bytes).ok());
  const auto model = LoadModel(folder);
  ASSERT_TRUE(model.ok()) << model.status();
  for (const TensorSpec& tensor : model->weights->manifest().tensors) {
    const absl::Status status = model->weights->F32(tensor.name).status();
    if (tensor.name != damaged) {
      EXPECT_TRUE(status.ok()) << status;
      continue;
    }
    EXPECT_TRUE(absl::IsDataLoss(status));
    EXPECT_THAT(status.message(), HasSubstr(path + ": tensor " + damaged));
  }
  kernels::ThreadPool pool(2);
  EXPECT_THAT(PackModel(pool, *model).status().message(), HasSubstr(damaged));
}

TEST_F(CheckpointTest, ListsWithoutPartsStillHold) {
  // As folders had before tensors had checksums of their own: the whole file is checked when
  // opened.
  const std::string folder = root_ + "/a";
  FolderFiles files = ModelFiles(SmallModel(1));
  for (auto& [name, file] : files) {
    for (const absl::Span<const uint8_t> part : file.parts)
      file.text.append(part.begin(), part.end());
    file.parts.clear();
  }
  ASSERT_TRUE(WriteCheckedFolder(folder, files).ok());
  EXPECT_THAT(*ReadFile(folder + "/checksums.json"), ::testing::Not(HasSubstr("parts")));
  ASSERT_TRUE(ReadAll(folder).ok());
  std::string bytes = *ReadFile(folder + "/model.safetensors");
  bytes.back() = static_cast<char>(bytes.back() ^ 1);
  ASSERT_TRUE(WriteFileAtomic(folder + "/model.safetensors", bytes).ok());
  EXPECT_THAT(LoadModel(folder).status().message(), HasSubstr("model.safetensors is damaged"));
}

TEST_F(CheckpointTest, MissingFolderIsNamed) {
  const absl::Status status = LoadModel(root_ + "/nowhere").status();
  EXPECT_TRUE(absl::IsNotFound(status));
  EXPECT_THAT(status.message(), HasSubstr(root_ + "/nowhere"));
}

TEST_F(CheckpointTest, UnwritablePlaceIsNamed) {
  ASSERT_TRUE(WriteFileAtomic(root_ + "/file", "x").ok());
  const absl::Status status = SaveModel(root_ + "/file/model", SmallModel(1));
  EXPECT_FALSE(status.ok());
  EXPECT_THAT(status.message(), HasSubstr(root_ + "/file/model"));
}

TEST_F(CheckpointTest, WithoutChecksumsTheHeaderStillHolds) {
  const std::string folder = root_ + "/a";
  ASSERT_TRUE(SaveModel(folder, SmallModel(1)).ok());
  fs::remove(folder + "/checksums.json");
  ASSERT_TRUE(LoadModel(folder).ok());
  ModelConfig other = SmallModel(1).config;
  other.moe_intermediate_size = 6;
  ASSERT_TRUE(WriteFileAtomic(folder + "/config.json", other.ToJson()).ok());
  const absl::Status status = LoadModel(folder).status();
  EXPECT_THAT(status.message(), HasSubstr("model.safetensors"));
  EXPECT_THAT(status.message(), HasSubstr("experts.0.gate_proj"));
}

// One file with the given header text and `data` bytes behind it.
std::string FileWith(const std::string& header, size_t data) {
  std::string bytes;
  for (int i = 0; i < 8; ++i) bytes.push_back(static_cast<char>(header.size() >> (8 * i) & 0xff));
  return bytes + header + std::string(data, 'x');
}

// Of x.safetensors with these bytes.
absl::StatusOr<std::shared_ptr<const Weights>> Opened(const std::string& bytes) {
  const std::string folder = ::testing::TempDir();
  PONDER_RETURN_IF_ERROR(WriteFileAtomic(absl::StrCat(folder, "/x.safetensors"), bytes));
  return OpenTensors(folder, "x.safetensors");
}

TEST(Safetensors, ReadsWhatOtherProgramsWrite) {
  // Any order of names, metadata, padding spaces, a scalar, an empty tensor.
  const auto weights = Opened(FileWith(
      R"({"b":{"dtype":"F16","shape":[2,2],"data_offsets":[8,16]},"__metadata__":{"k":"v"},)"
      R"("a":{"dtype":"I64","shape":[],"data_offsets":[0,8]},)"
      R"("c":{"dtype":"F32","shape":[0,3],"data_offsets":[16,16]}}   )",
      16));
  ASSERT_TRUE(weights.ok()) << weights.status();
  EXPECT_EQ((*weights)->manifest().tensors[0].name, "a");
  EXPECT_EQ((*weights)->manifest().tensors[1].shape, (std::vector<int64_t>{2, 2}));
}

TEST(Safetensors, RefusesHostileHeaders) {
  const auto tensor = [](const std::string& name, const std::string& shape,
                         const std::string& offsets) {
    return absl::StrCat("\"", name, R"(":{"dtype":"F32","shape":)", shape, R"(,"data_offsets":)",
                        offsets, "}");
  };
  const std::string good = tensor("a", "[2]", "[0,8]");
  ASSERT_TRUE(Opened(FileWith("{" + good + "}", 8)).ok());
  const std::vector<std::string> bad = {
      "",
      "abc",
      FileWith("{" + good + "}", 8).substr(0, 40),
      std::string(8, '\xff') + "{}",
      FileWith("[]", 0),
      FileWith("{" + good, 8),
      FileWith("{" + good + "}", 9),
      FileWith("{" + good + "}", 7),
      FileWith("{" + good + "," + tensor("a", "[2]", "[8,16]") + "}", 16),
      FileWith("{" + good + "," + tensor("b", "[2]", "[4,12]") + "}", 12),
      FileWith("{" + good + "," + tensor("b", "[2]", "[12,20]") + "}", 20),
      FileWith("{" + tensor("a", "[2]", "[8,0]") + "}", 8),
      FileWith("{" + tensor("a", "[-2]", "[0,8]") + "}", 8),
      FileWith("{" + tensor("a", "[2.0]", "[0,8]") + "}", 8),
      FileWith("{" + tensor("a", "[4611686018427387904,4]", "[0,0]") + "}", 0),
      FileWith("{" + tensor("a", "[2]", "[0,8,8]") + "}", 8),
      FileWith("{" + tensor("a", "[2]", "[0,18446744073709551615]") + "}", 8),
      FileWith("{" + tensor("a", "2", "[0,8]") + "}", 8),
      FileWith(R"({"a":{"dtype":"F8","shape":[8],"data_offsets":[0,8]}})", 8),
      FileWith(R"({"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8],"more":1}})", 8),
      FileWith(R"({"a":7})", 8),
      FileWith(std::string(100000, '['), 8),
  };
  for (size_t i = 0; i < bad.size(); ++i) {
    const absl::Status status = Opened(bad[i]).status();
    EXPECT_TRUE(absl::IsDataLoss(status)) << "case " << i << ": " << status;
    EXPECT_THAT(status.message(), HasSubstr("x.safetensors")) << i;
  }
}

TEST(Safetensors, CutOrFlippedHeadersNeverCrash) {
  const FolderFile file = TensorsFile(SmallModel(1).weights);
  std::string good = file.text;
  for (const auto part : file.parts) good.append(part.begin(), part.end());
  const size_t header_end = good.find('}', 0) + 600;
  for (size_t at = 0; at < header_end; ++at) {
    std::string bad = good;
    bad[at] = static_cast<char>(bad[at] ^ (1 << at % 7));
    ParseSafetensorsHeader(bad).status().IgnoreError();  // an error or another valid file
    EXPECT_FALSE(ParseSafetensorsHeader(good.substr(0, at)).ok());
  }
}

}  // namespace checkpoint_test
}  // namespace ponder::moe
