// Planted: this header does not compile alone, and the check of headers must notice
// (tests/tree/CMakeLists.txt).
#pragma once

inline std::size_t size_of(const std::string& text) {
  return text.size();
}
