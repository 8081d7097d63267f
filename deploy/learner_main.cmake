# see deploy/CMakeLists.txt
