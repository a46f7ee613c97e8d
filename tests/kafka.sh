#!/bin/sh
# Fetches a real Kafka broker from Maven Central into a cache outside the repository
# and prints its folder; prints nothing when there is no Java or no registry.
#
#   sh tests/kafka.sh [VERSION]
version=${1:-3.9.1}
cache=${SLUICE_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/sluice-tests}
dir=$cache/kafka-$version
command -v java >/dev/null || exit 0
if [ ! -f "$dir/done" ]; then
  command -v mvn >/dev/null || exit 0
  mkdir -p "$dir"
  cat >"$dir/pom.xml" <<X
<project xmlns="http://maven.apache.org/POM/4.0.0"><modelVersion>4.0.0</modelVersion>
<groupId>t</groupId><artifactId>broker</artifactId><version>1</version>
<packaging>pom</packaging><dependencies>
<dependency><groupId>org.apache.kafka</groupId><artifactId>kafka_2.13</artifactId>
<version>$version</version></dependency>
<dependency><groupId>org.slf4j</groupId><artifactId>slf4j-nop</artifactId>
<version>1.7.36</version></dependency></dependencies></project>
X
  (cd "$dir" && timeout 300 mvn -q -B \
    org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy-dependencies \
    -DoutputDirectory="$dir/libs" -DincludeScope=runtime >/dev/null 2>&1) ||
    exit 0
  touch "$dir/done"
fi
echo "$dir/libs"
