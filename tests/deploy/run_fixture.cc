#include "tests/deploy/run_fixture.h"

#include <fcntl.h>
#include <signal.h>
#include <sqlite3.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <iterator>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/str_split.h"
#include "absl/time/clock.h"
#include "base/steady_clock.h"

namespace ponder::deploy {
namespace {

namespace fs = std::filesystem;

constexpr absl::Duration kLook = absl::Milliseconds(5);  // between two looks at a file or process

std::string ReadAll(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return std::string(std::istreambuf_iterator<char>(file), {});
}

}  // namespace

PonderProcess::PonderProcess(const std::vector<std::string>& arguments, const std::string& output) {
  std::vector<std::string> words = {absl::StrCat(PONDER_BINARY_DIR, "/bin/ponder")};
  words.insert(words.end(), arguments.begin(), arguments.end());
  std::vector<char*> argv;
  for (std::string& word : words) argv.push_back(word.data());
  argv.push_back(nullptr);
  pid_ = fork();
  if (pid_ == 0) {
    const int fd = open(output.c_str(), O_WRONLY | O_CREAT | O_APPEND, 0644);
    dup2(fd, STDOUT_FILENO);
    dup2(fd, STDERR_FILENO);
    execv(argv[0], argv.data());
    _exit(127);
  }
}

PonderProcess::~PonderProcess() {
  if (ended()) return;
  kill(pid_, SIGKILL);  // its children are killed with it
  waitpid(pid_, &status_, 0);
}

void PonderProcess::Signal(int signal) { kill(pid_, signal); }

bool PonderProcess::ended() {
  if (!reaped_) reaped_ = waitpid(pid_, &status_, WNOHANG) == pid_;
  return reaped_;
}

int PonderProcess::Wait() {
  const absl::Time deadline = SteadyNow() + kPatience;
  while (!ended()) {
    if (SteadyNow() > deadline) {
      ADD_FAILURE() << "still running after " << absl::FormatDuration(kPatience);
      kill(pid_, SIGKILL);
    }
    absl::SleepFor(kLook);
  }
  return WIFEXITED(status_) ? WEXITSTATUS(status_) : -WTERMSIG(status_);
}

std::vector<pid_t> PonderProcess::Children(const std::string& text) const {
  std::vector<pid_t> children;
  for (const auto& task : fs::directory_iterator(absl::StrCat("/proc/", pid_, "/task"))) {
    for (const absl::string_view child :
         absl::StrSplit(ReadAll(task.path() / "children"), ' ', absl::SkipWhitespace())) {
      const std::string command = absl::StrReplaceAll(
          ReadAll(absl::StrCat("/proc/", child, "/cmdline")), {{std::string(1, '\0'), " "}});
      if (absl::StrContains(command, text)) children.push_back(std::stoi(std::string(child)));
    }
  }
  return children;
}

void RunTest::SetUp() {
  const auto* test = ::testing::UnitTest::GetInstance()->current_test_info();
  folder_ = absl::StrCat(::testing::TempDir(), "ponder_run.", getpid(), ".", test->name());
  fs::remove_all(folder_);
  fs::create_directories(folder_);
  Write("small.yaml", R"(
model:
  hidden_size: 32
  num_hidden_layers: 2
  num_attention_heads: 2
  num_key_value_heads: 1
  head_dim: 16
  num_experts: 4
  moe_intermediate_size: 16
  max_position_embeddings: 64
data:
  task: {train_size: 200, eval_size: 8}
  max_prompt_tokens: 32
sft:
  steps: 5
  batch_size: 8
rl:
  steps: 4
  group_size: 2
  groups_per_step: 4
  dynamic_sampling: false  # a model that small answers nothing right
  max_response_tokens: 24
  overlong_cache: 8
learner:
  threads: 1
  checkpoint_every: 2
eval:
  samples: 1
  max_prompts: 4
)");
}

void RunTest::TearDown() {
  if (!HasFailure()) fs::remove_all(folder_);
}

void RunTest::Write(const std::string& name, const std::string& text) const {
  std::ofstream(Path(name), std::ios::binary) << text;
}

std::string RunTest::Read(const std::string& path) const { return ReadAll(path); }

std::vector<std::string> RunTest::RunArguments(const std::string& name,
                                               const std::vector<std::string>& overrides) const {
  std::vector<std::string> arguments = {"run", "--config", Path("small.yaml"), "--out", Path(name)};
  for (const std::string& set : overrides) arguments.insert(arguments.end(), {"--set", set});
  return arguments;
}

void RunTest::RunToTheEnd(const std::string& name, const std::vector<std::string>& overrides) {
  PonderProcess run(RunArguments(name, overrides), Path(name + ".out"));
  ASSERT_EQ(run.Wait(), 0) << Read(Path(name + ".out"));
}

RunTest::Output RunTest::Ponder(const std::vector<std::string>& arguments) {
  const std::string output = Path("output");
  fs::remove(output);
  PonderProcess process(arguments, output);
  Output result;
  result.exit_code = process.Wait();
  result.text = Read(output);
  return result;
}

std::vector<Json> RunTest::Metrics(const std::string& name, const std::string& event) const {
  std::vector<Json> records;
  const std::string text = ReadAll(Path(name) + "/metrics.jsonl");
  // A line is whole once its end is there.
  for (const absl::string_view line :
       absl::StrSplit(text.substr(0, text.rfind('\n') + 1), '\n', absl::SkipEmpty())) {
    Json record = Json::parse(line.begin(), line.end());
    if (event.empty() || record["event"] == event) records.push_back(std::move(record));
  }
  return records;
}

void RunTest::WaitFor(const std::string& name, PonderProcess& process,
                      const std::function<bool(const Json&)>& wanted) const {
  const absl::Time deadline = SteadyNow() + kPatience;
  while (true) {
    const bool last = process.ended();
    for (const Json& record : Metrics(name)) {
      if (wanted(record)) return;
    }
    ASSERT_FALSE(last) << "the run ended before: " << ReadAll(Path(name + ".out"));
    ASSERT_LT(SteadyNow(), deadline) << "nothing came";
    absl::SleepFor(kLook);
  }
}

void RunTest::WaitForStep(const std::string& name, PonderProcess& process, int64_t step) const {
  WaitFor(name, process, [step](const Json& record) {
    return record["event"] == "rl_step" && record["step"] >= step;
  });
}

std::vector<std::string> RunTest::Ledger(const std::string& name, const std::string& query) const {
  sqlite3* db = nullptr;
  std::vector<std::string> rows;
  EXPECT_EQ(sqlite3_open(absl::StrCat(Path(name), "/pool.db").c_str(), &db), SQLITE_OK);
  char* error = nullptr;
  const auto take = [](void* rows, int columns, char** values, char**) {
    std::string row;
    for (int i = 0; i < columns; ++i) {
      absl::StrAppend(&row, i > 0 ? "|" : "", values[i] == nullptr ? "" : values[i]);
    }
    static_cast<std::vector<std::string>*>(rows)->push_back(row);
    return 0;
  };
  EXPECT_EQ(sqlite3_exec(db, query.c_str(), take, &rows, &error), SQLITE_OK)
      << (error == nullptr ? "" : error);
  sqlite3_free(error);
  sqlite3_close(db);
  return rows;
}

void RunTest::ExpectBooksClosed(const std::string& name) const {
  EXPECT_EQ(Ledger(name,
                   "select * from samples where state not in ('trained', 'dropped') or "
                   "(state = 'dropped' and reason is null)"),
            std::vector<std::string>());
  EXPECT_EQ(Ledger(name,
                   "select prompt_id, sample_index from samples where state = 'trained' "
                   "group by prompt_id, sample_index having count(*) > 1"),
            std::vector<std::string>());
  // What the log says was trained is what the ledger says.
  std::map<int64_t, int64_t> logged;  // a resumed run does some steps again: the last one stands
  for (const Json& record : Metrics(name, "rl_step")) {
    logged[record["step"].get<int64_t>()] = record["groups"].get<int64_t>();
  }
  for (const auto& [step, groups] : logged) {
    EXPECT_EQ(Ledger(name, absl::StrCat("select count(distinct group_id) from samples where state "
                                        "= 'trained' and trained_step = ",
                                        step)),
              std::vector<std::string>{absl::StrCat(groups)})
        << "step " << step;
  }
}

std::string RunTest::FinalWeights(const std::string& name) const {
  std::string bytes;
  for (const auto& entry : fs::directory_iterator(Path(name) + "/models/final")) {
    if (entry.path().extension() == ".safetensors") bytes += ReadAll(entry.path());
  }
  EXPECT_FALSE(bytes.empty());
  return bytes;
}

}  // namespace ponder::deploy
