# Run by cpack after the build is installed: adds what only the package has. cpack sets
# DESTDIR, which file(INSTALL) would put before the whole path, and file(WRITE) would not.
set(source ${CPACK_SLUICE_SOURCE})
set(root ${CPACK_TEMPORARY_INSTALL_DIRECTORY})
if(NOT EXISTS ${root}/usr/bin/sluice)
  message(FATAL_ERROR "no usr/bin/sluice in \"${root}\": cpack has not installed the build")
endif()
set(ENV{DESTDIR})
set(doc ${root}/usr/share/doc/sluice)

file(INSTALL DESTINATION ${root}/etc/sluice FILES ${source}/conf/debian/policy.lua)

file(GLOB units ${source}/conf/*.service ${source}/conf/*.socket)
foreach(unit ${units})
  get_filename_component(name ${unit} NAME)
  file(READ ${unit} text)
  string(REPLACE /usr/local/bin/ /usr/bin/ text "${text}")
  file(WRITE ${root}/lib/systemd/system/${name} "${text}")
endforeach()

file(INSTALL ${source}/conf/debian/overrides DESTINATION ${root}/usr/share/lintian/overrides
  RENAME sluice)

# The documents keep their folders, so that their links hold.
file(GLOB pages ${source}/conf/*.md)
file(INSTALL DESTINATION ${doc} FILES ${source}/README.md ${source}/conf/debian/copyright)
file(INSTALL DESTINATION ${doc}/conf FILES ${pages} ${source}/conf/quickstart.lua
  ${source}/conf/attribution.lua ${source}/conf/examples)
file(INSTALL DESTINATION ${doc}/bench FILES ${source}/bench/RESULTS.md)
file(INSTALL DESTINATION ${doc}/docker FILES ${source}/docker/prometheus ${source}/docker/grafana
  ${source}/docker/clickhouse.sql)
file(GLOB more ${source}/docker/kubernetes)
foreach(folder ${more})
  file(INSTALL DESTINATION ${doc}/docker FILES ${folder})
endforeach()

# Compressed without name and time: the same build makes the same package.
function(compress from to)
  get_filename_component(folder ${to} DIRECTORY)
  file(MAKE_DIRECTORY ${folder})
  execute_process(COMMAND gzip -9nc ${from} OUTPUT_FILE ${to} COMMAND_ERROR_IS_FATAL ANY)
endfunction()

string(TIMESTAMP date "%a, %d %b %Y %H:%M:%S +0000" UTC)
file(READ ${source}/conf/debian/changelog text)
string(REPLACE "@VERSION@" "${CPACK_PACKAGE_VERSION}" text "${text}")
string(REPLACE "@CONTACT@" "${CPACK_PACKAGE_CONTACT}" text "${text}")
string(REPLACE "@DATE@" "${date}" text "${text}")
file(WRITE ${root}.changelog "${text}")
compress(${root}.changelog ${doc}/changelog.gz)
file(REMOVE ${root}.changelog)

compress(${root}/usr/share/man/man1/sluice.1 ${root}/usr/share/man/man1/sluice.1.gz)
file(REMOVE ${root}/usr/share/man/man1/sluice.1)
file(RENAME ${root}/usr/share/zsh/site-functions ${root}/usr/share/zsh/vendor-completions)

# Whatever the umask and the clone's modes are.
execute_process(COMMAND chmod -R u=rwX,go=rX ${root} COMMAND_ERROR_IS_FATAL ANY)
