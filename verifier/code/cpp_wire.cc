#include "verifier/code/cpp_wire.h"

namespace ponder::verifier {
namespace {

// Needs <bits/stdc++.h>. Values are written by their static type, and read into one.
constexpr absl::string_view kWire = R"cpp(
#include <unistd.h>
  namespace ponder_wire {
  constexpr size_t kQuestionBytes = 16;  // how a request and its reply begin
  struct Mismatch {};  // a value of another type
  struct Lost {};      // the other process is gone
  template <class T, template <class...> class C>
  struct Is : std::false_type {};
  template <template <class...> class C, class... A>
  struct Is<C<A...>, C> : std::true_type {};
  template <class T>
  constexpr bool kList = Is<T, std::vector>() || Is<T, std::list>() || Is<T, std::deque>();
  template <class T>
  constexpr bool kSet = Is<T, std::set>() || Is<T, std::unordered_set>() || Is<T, std::multiset>();
  template <class T>
  constexpr bool kMap = Is<T, std::map>() || Is<T, std::unordered_map>();
  template <class T>
  constexpr bool kTuple = Is<T, std::tuple>() || Is<T, std::pair>();
  template <class T>
  constexpr bool kChar = std::is_same_v<T, char>;

  // What a std::any may hold across the wire; a letter each.
  template <class F>
  void EachHeld(F use) {
    use('i', int());
    use('l', long());
    use('q', static_cast<long long>(0));
    use('b', bool());
    use('f', float());
    use('d', double());
    use('c', static_cast<const char*>(nullptr));
    use('s', std::string());
    use('v', std::vector<long>());
    use('w', std::vector<std::string>());
    use('m', std::map<long, long>());
    use('n', std::map<std::string, long>());
    use('o', std::map<std::string, std::string>());
  }
  inline void PutText(std::string& out, const std::string& text) {
    out += "s" + std::to_string(text.size()) + ":" + text;
  }
  template <class T>
  void Put(std::string& out, const T& value) {
    if constexpr (std::is_same_v<T, std::any>) {
      std::string held = "x1:?";
      EachHeld([&](char letter, auto like) {
        using H = decltype(like);
        if (value.type() != typeid(H)) return;
        held = std::string("a") + letter;
        Put(held, std::any_cast<const H&>(value));
      });
      out += value.has_value() ? held : "N";
    } else if constexpr (std::is_same_v<T, bool>)
      out += value ? 'T' : 'F';
    else if constexpr (kChar<T>)
      PutText(out, std::string(1, value));
    else if constexpr (std::is_integral_v<T>)
      out += "i" + std::to_string(value) + ";";
    else if constexpr (std::is_floating_point_v<T>) {
      char text[64];
      snprintf(text, sizeof(text), "f%.17g;", static_cast<double>(value));
      out += text;
    } else if constexpr (std::is_convertible_v<const T&, std::string>)
      PutText(out, value);
    else if constexpr (std::is_same_v<T, std::nullopt_t> || std::is_same_v<T, std::monostate>)
      out += 'N';
    else if constexpr (Is<T, std::optional>()) {
      if (value)
        Put(out, *value);
      else
        out += 'N';
    } else if constexpr (kMap<T>) {
      out += "d" + std::to_string(value.size()) + ":";
      for (const auto& [k, v] : value) {
        Put(out, k);
        Put(out, v);
      }
    } else if constexpr (kTuple<T>) {
      out += "t" + std::to_string(std::tuple_size_v<T>) + ":";
      std::apply([&](const auto&... item) { (Put(out, item), ...); }, value);
    } else if constexpr (kList<T> || kSet<T>) {
      out += (kSet<T> ? "e" : "l") + std::to_string(value.size()) + ":";
      for (const auto& item : value) Put<typename T::value_type>(out, item);
    } else if constexpr (std::is_array_v<T>) {
      out += "l" + std::to_string(std::size(value)) + ":";
      for (const auto& item : value) Put(out, item);
    } else
      out += "x1:?";
  }

  struct Value {
    char tag = 'N';
    std::string text;
    std::vector<Value> items;
  };
  class Parser {
   public:
    explicit Parser(const std::string& data) : data_(data) {}
    Value Parse(int depth = 0) {
      if (at_ >= data_.size() || depth > 200) throw Mismatch();
      Value value;
      value.tag = data_[at_++];
      if (strchr("NTF", value.tag)) return value;
      if (value.tag == 'i' || value.tag == 'f') {
        value.text = Until(';');
        return value;
      }
      if (value.tag == 'a') {
        if (at_ >= data_.size()) throw Mismatch();
        value.text = data_[at_++];
        value.items.push_back(Parse(depth + 1));
        return value;
      }
      const std::string digits = Until(':');
      if (digits.empty() || digits.size() > 9 ||
          digits.find_first_not_of("0123456789") != digits.npos)
        throw Mismatch();
      const size_t size = std::stoul(digits);
      if (size > data_.size()) throw Mismatch();
      if (strchr("sbx", value.tag)) {
        if (at_ + size > data_.size()) throw Mismatch();
        value.text = data_.substr(at_, size);
        at_ += size;
      } else if (strchr("ltezd", value.tag)) {
        for (size_t i = 0; i < size * (value.tag == 'd' ? 2 : 1); ++i)
          value.items.push_back(Parse(depth + 1));
      } else
        throw Mismatch();
      return value;
    }

   private:
    std::string Until(char mark) {
      const size_t end = data_.find(mark, at_);
      if (end == data_.npos) throw Mismatch();
      std::string text = data_.substr(at_, end - at_);
      at_ = end + 1;
      return text;
    }
    const std::string& data_;
    size_t at_ = 0;
  };

  inline void Expect(bool fits) {
    if (!fits) throw Mismatch();
  }
  template <class T>
  T Get(const Value& value);
  template <class T, size_t... I>
  T GetTuple(const Value& value, std::index_sequence<I...>) {
    return T(Get<std::decay_t<std::tuple_element_t<I, T>>>(value.items[I])...);
  }
  template <class T>
  T Get(const Value& value) {
    if constexpr (std::is_same_v<T, std::any>) {
      std::any any;
      if (value.tag == 'N') return any;
      Expect(value.tag == 'a');
      EachHeld([&](char letter, auto like) {
        using H = decltype(like);
        if (value.text[0] != letter) return;
        if constexpr (std::is_same_v<H, const char*>)  // lives as long as the process
          any = static_cast<const char*>(strdup(Get<std::string>(value.items[0]).c_str()));
        else
          any = Get<H>(value.items[0]);
      });
      Expect(any.has_value());
      return any;
    } else if constexpr (std::is_same_v<T, bool>) {
      Expect(value.tag == 'T' || value.tag == 'F');
      return value.tag == 'T';
    } else if constexpr (kChar<T>) {
      Expect(value.tag == 's' && value.text.size() == 1);
      return value.text[0];
    } else if constexpr (std::is_integral_v<T>) {
      Expect(value.tag == 'i' && !value.text.empty());
      T number{};
      const auto [end, error] =
          std::from_chars(value.text.data(), value.text.data() + value.text.size(), number);
      Expect(error == std::errc() && end == value.text.data() + value.text.size());
      return number;
    } else if constexpr (std::is_floating_point_v<T>) {
      Expect((value.tag == 'f' || value.tag == 'i') && !value.text.empty());
      char* end = nullptr;
      const double number = std::strtod(value.text.c_str(), &end);
      Expect(*end == 0);
      return static_cast<T>(number);
    } else if constexpr (std::is_same_v<T, std::string>) {
      Expect(value.tag == 's');
      return value.text;
    } else if constexpr (Is<T, std::optional>()) {
      if (value.tag == 'N') return std::nullopt;
      return Get<typename T::value_type>(value);
    } else if constexpr (std::is_same_v<T, std::monostate>) {
      Expect(value.tag == 'N');
      return {};
    } else if constexpr (kTuple<T>) {
      Expect((value.tag == 't' || value.tag == 'l') && value.items.size() == std::tuple_size_v<T>);
      return GetTuple<T>(value, std::make_index_sequence<std::tuple_size_v<T>>());
    } else if constexpr (kMap<T>) {
      Expect(value.tag == 'd');
      T map;
      for (size_t i = 0; i < value.items.size(); i += 2) {
        map.emplace(Get<typename T::key_type>(value.items[i]),
                    Get<typename T::mapped_type>(value.items[i + 1]));
      }
      return map;
    } else if constexpr (kSet<T>) {
      Expect(value.tag == 'e' || value.tag == 'l');
      T set;
      for (const Value& item : value.items) set.insert(Get<typename T::value_type>(item));
      return set;
    } else if constexpr (kList<T>) {
      Expect(value.tag == 'l' || value.tag == 't');
      T list;
      for (const Value& item : value.items) list.push_back(Get<typename T::value_type>(item));
      return list;
    } else {
      throw Mismatch();
    }
  }

  inline std::string ReadExactly(int fd, size_t size) {
    std::string data(size, 0);
    for (size_t at = 0; at < size;) {
      const ssize_t got = ::read(fd, &data[at], size - at);
      if (got <= 0) throw Lost();
      at += got;
    }
    return data;
  }
  inline std::string Receive(int fd) {
    const std::string head = ReadExactly(fd, 8);
    char* end = nullptr;
    const unsigned long size = std::strtoul(head.c_str(), &end, 16);
    if (*end != 0 || size > (1u << 26)) throw Mismatch();
    return ReadExactly(fd, size);
  }
  inline void Send(int fd, const std::string& payload) {
    char head[9];
    snprintf(head, sizeof(head), "%08zx", payload.size());
    const std::string data = head + payload;
    for (size_t at = 0; at < data.size();) {
      const ssize_t put = ::write(fd, data.data() + at, data.size() - at);
      if (put <= 0) throw Lost();
      at += put;
    }
  }
  }  // namespace ponder_wire
)cpp";

}  // namespace

absl::string_view CppWire() { return kWire; }

}  // namespace ponder::verifier
