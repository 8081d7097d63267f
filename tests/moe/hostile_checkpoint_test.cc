// Checkpoints that are broken, or made to break their reader: each a one-line error that names the
// file and, where there is one, the tensor or the key.
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <functional>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "base/atomic_file.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "moe/checkpoint.h"
#include "moe/checkpoint_files.h"

namespace ponder::moe {
namespace hostile_checkpoint_test {

namespace fs = std::filesystem;
using ::testing::HasSubstr;

class HostileCheckpoint : public ::testing::Test {
 protected:
  void SetUp() override {
    folder_ = absl::StrCat(::testing::TempDir(), "hostile_checkpoint.", getpid());
    TakeCase("qwen3_moe");
  }
  void TearDown() override { fs::remove_all(folder_); }

  void TakeCase(const std::string& name) {
    fs::remove_all(folder_);
    fs::copy(absl::StrCat(PONDER_SOURCE_DIR, "/tests/data/hf/", name), folder_);
  }
  std::string Read(const std::string& name) const { return *ReadFile(folder_ + "/" + name); }
  void Write(const std::string& name, const std::string& bytes) const {
    std::ofstream(folder_ + "/" + name, std::ios::binary) << bytes;
  }
  // One line with all of `about` in it.
  void ExpectError(const std::string& what, const std::vector<std::string>& about) const {
    const absl::Status status = LoadModel(folder_).status();
    ASSERT_FALSE(status.ok()) << what;
    EXPECT_THAT(status.message(), Not(HasSubstr("\n"))) << what;
    EXPECT_LT(status.message().size(), 1000u) << what;
    for (const std::string& name : about) EXPECT_THAT(status.message(), HasSubstr(name)) << what;
  }
  // The case with `from` in `name` replaced by `to`.
  void ExpectErrorWith(const std::string& name, const std::string& from, const std::string& to,
                       const std::vector<std::string>& about) {
    const std::string good = Read(name);
    ASSERT_THAT(good, HasSubstr(from));
    Write(name, absl::StrReplaceAll(good, {{from, to}}));
    ExpectError(absl::StrCat(from, " -> ", to), about);
    Write(name, good);
  }
  std::string folder_;
};

std::string WithHeader(const std::string& header, const std::string& data) {
  std::string bytes;
  for (int i = 0; i < 8; ++i) bytes.push_back(static_cast<char>(header.size() >> (8 * i) & 0xff));
  return bytes + header + data;
}

TEST_F(HostileCheckpoint, CutAtEveryFiftieth) {
  for (const char* name : {"qwen3_moe", "deepseek_v3_mtp"}) {
    TakeCase(name);
    for (const auto& entry : fs::directory_iterator(folder_)) {
      const std::string file = entry.path().filename();
      if (!absl::EndsWith(file, ".safetensors") && !absl::EndsWith(file, "config.json") &&
          !absl::EndsWith(file, "index.json")) {
        continue;
      }
      const std::string good = Read(file);
      for (size_t i = 0; i < 50; ++i) {
        Write(file, good.substr(0, good.size() * i / 50));
        ExpectError(absl::StrCat(name, " ", file, " cut at ", i, "/50"), {file});
      }
      Write(file, good);
    }
    ASSERT_TRUE(LoadModel(folder_).ok());
  }
}

TEST_F(HostileCheckpoint, Headers) {
  const std::string good = Read("model.safetensors");
  for (const uint64_t length : {uint64_t{1} << 63, ~uint64_t{0}, uint64_t{1} << 32}) {
    std::string bad = good;
    for (size_t i = 0; i < 8; ++i) bad[i] = static_cast<char>(length >> (8 * i) & 0xff);
    Write("model.safetensors", bad);
    ExpectError(absl::StrCat("length ", length), {"model.safetensors", absl::StrCat(length)});
  }
  const std::string one = R"("model.norm.weight":{"dtype":"F32","shape":[2],"data_offsets":[0,8]})";
  const auto second = [](const std::string& name, const std::string& offsets) {
    return absl::StrCat("\"", name, R"(":{"dtype":"F32","shape":[2],"data_offsets":)", offsets,
                        "}");
  };
  const std::string data(16, 'x');
  for (const auto& [header, tensor] : std::vector<std::pair<std::string, std::string>>{
           {one + "," + second("lm_head.weight", "[4,12]"), "lm_head.weight"},
           {one + "," + second("lm_head.weight", "[0,8]"), "weight"},
           {one + "," + second("model.norm.weight", "[8,16]"), "model.norm.weight"},
           {one + "," + second("lm_head.weight", "[8,999]"), "lm_head.weight"},
           {one + "," + second("lm_head.weight", "[18446744073709551608,16]"), "lm_head.weight"}}) {
    Write("model.safetensors", WithHeader("{" + header + "}", data));
    ExpectError(header, {"model.safetensors", tensor});
  }
  Write("model.safetensors", WithHeader(std::string(1 << 20, '['), data));
  ExpectError("a million brackets", {"model.safetensors"});
  Write("model.safetensors", WithHeader("{" + std::string(30 << 20, ' ') + "}", data));
  ExpectError("30 MB of spaces", {"model.safetensors"});
}

TEST_F(HostileCheckpoint, TensorsOfAnotherModel) {
  const std::string norm = "model.layers.0.input_layernorm.weight";
  ExpectErrorWith("model.safetensors", norm, "model.layers.0.inputtlayernorm.weight",
                  {"model.safetensors", norm});
  ExpectErrorWith("config.json", "\"vocab_size\": 144", "\"vocab_size\": 145",
                  {"model.safetensors", "embed_tokens", "[144", "[145"});
  // Of the same length, so that nothing else moves.
  ExpectErrorWith("model.safetensors", "\"dtype\":\"BF16\"", "\"dtype\": \"I16\"",
                  {"model.safetensors", "tensor model.", "I16"});
  ExpectErrorWith("model.safetensors", "\"dtype\":\"BF16\"", "\"dtype\":\"BF17\"",
                  {"model.safetensors", "tensor ", "BF17"});
  ExpectErrorWith("model.safetensors", norm, "model.layers.0.input\\nlayernor.weight",
                  {"model.safetensors", "layernor.weight"});
}

TEST_F(HostileCheckpoint, Shards) {
  TakeCase("deepseek_v3_mtp");
  const std::string shard = "model-00002-of-00002.safetensors";
  fs::remove(folder_ + "/" + shard);
  ExpectError("no shard", {shard});
  fs::copy_file(folder_ + "/model-00001-of-00002.safetensors", folder_ + "/" + shard);
  ExpectError("a shard twice", {shard, "tensor"});
  TakeCase("deepseek_v3_mtp");
  ExpectErrorWith("model.safetensors.index.json", shard, "../" + shard, {"index.json", shard});
  ExpectErrorWith("model.safetensors.index.json", "\"model.norm.weight\"", "\"model.norm.height\"",
                  {"index.json", "model.norm.height"});
  Write("model.safetensors.index.json", "{\"weight_map\": " + std::string(100'000, '['));
  ExpectError("deep index", {"index.json"});
}

TEST_F(HostileCheckpoint, Configs) {
  for (const char* value : {"NaN", "-NaN", "Infinity", "1e999", "\"x\"", "-1", "0", "[]", "{}"}) {
    ExpectErrorWith("config.json", "\"rms_norm_eps\": 1e-06",
                    absl::StrCat("\"rms_norm_eps\": ", value), {"config.json", "rms_norm_eps"});
  }
  for (const char* value :
       {"NaN", "1e3", "-5", "0", "99999999999999999999", "9223372036854775807"}) {
    ExpectErrorWith("config.json",
                    "\"hidden_size\":", absl::StrCat("\"hidden_size\": ", value, ", \"x\":"),
                    {"config.json", "hidden_size"});
  }
  const std::string good = Read("config.json");
  Write("config.json", "{\"a\":" + std::string(200'000, '[') + "}");
  ExpectError("deep", {"config.json"});
  Write("config.json", "{\"a\": \"" + std::string(100 << 20, 'x') + "\"}");
  ExpectError("100 MB", {"config.json"});
  fs::remove(folder_ + "/config.json");
  fs::create_symlink("config.json", folder_ + "/config.json");
  ExpectError("a link to itself", {"config.json"});
}

}  // namespace hostile_checkpoint_test
}  // namespace ponder::moe
