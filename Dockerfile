# A small image with the server and the command line:
#
#   docker build -t millrace .
#   docker run --security-opt seccomp=unconfined -v millrace-data:/data -p 7420:7420 millrace
#
# Docker's default seccomp profile refuses io_uring, which Millrace needs; instead of switching the profile off, one
# can copy it and allow io_uring_setup, io_uring_enter and io_uring_register. `--build-arg DEBIAN=13` builds on Debian 13.
ARG DEBIAN=12

FROM debian:${DEBIAN} AS build
WORKDIR /millrace
COPY packages.txt .
RUN apt-get update \
 && apt-get install -y --no-install-recommends $(awk '$1 == "build" {print $2}' packages.txt) \
 && rm -rf /var/lib/apt/lists/*
COPY . .
RUN cmake --preset release -DBUILD_TESTING=OFF -DMILLRACE_BENCH=OFF \
 && cmake --build --preset release --target millrace \
 && cmake --install build/release --prefix /usr/local --strip
# The packages that hold the shared libraries the program was linked with, by their names in this release of Debian.
RUN ldd /usr/local/bin/millrace | awk '$2 == "=>" {print $3}' | xargs readlink -f \
  | xargs dpkg-query --search | cut -d: -f1 | sort -u > /runtime-packages.txt

FROM debian:${DEBIAN}-slim
COPY --from=build /runtime-packages.txt /
RUN apt-get update \
 && apt-get install -y --no-install-recommends $(cat /runtime-packages.txt) \
 && rm -rf /var/lib/apt/lists/* /runtime-packages.txt \
 && useradd --system --user-group --home-dir /data --no-create-home millrace \
 && install --directory --owner=millrace --group=millrace --mode=0750 /data
COPY --from=build /usr/local/bin/millrace /usr/local/bin/millrace
COPY --from=build /usr/local/share/doc/millrace /usr/local/share/doc/millrace
USER millrace
VOLUME /data
EXPOSE 7420
STOPSIGNAL SIGTERM
ENTRYPOINT ["millrace"]
CMD ["serve", "--data", "/data", "--listen", "0.0.0.0:7420"]
