# What the layers up to the client library link, for this tree and for programs that use an installed one.
find_package(Threads REQUIRED)
find_package(PkgConfig REQUIRED)

find_package(fmt 9 REQUIRED)

pkg_check_modules(uring REQUIRED IMPORTED_TARGET GLOBAL liburing>=2.3)
pkg_check_modules(xxhash REQUIRED IMPORTED_TARGET GLOBAL libxxhash>=0.8.1)
pkg_check_modules(isal REQUIRED IMPORTED_TARGET GLOBAL libisal>=2.30)
pkg_check_modules(lz4 REQUIRED IMPORTED_TARGET GLOBAL liblz4>=1.9.4)
pkg_check_modules(zstd REQUIRED IMPORTED_TARGET GLOBAL libzstd>=1.5.4)
