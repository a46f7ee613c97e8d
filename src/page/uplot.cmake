# Writes uplot.js and uplot.css into PAGE_ROOT: of the package in SLUICE_UPLOT, with its
# licence, or empty ones. Bytes other than those that were looked at are not embedded.
set(PAGE_COPIES ${PAGE_ROOT}/uplot.js ${PAGE_ROOT}/uplot.css)
foreach(file ${PAGE_FILES})
  get_filename_component(name ${file} NAME)
  list(APPEND PAGE_COPIES ${PAGE_ROOT}/${name})
endforeach()

function(uplot_part from to sha256)
  set(text "")
  if(EXISTS ${SLUICE_UPLOT}/dist/${from} AND EXISTS ${SLUICE_UPLOT}/LICENSE)
    file(SHA256 ${SLUICE_UPLOT}/dist/${from} sum)
    if(sum STREQUAL sha256)
      file(READ ${SLUICE_UPLOT}/dist/${from} body)
      file(READ ${SLUICE_UPLOT}/LICENSE license)
      set(text "/*\n${license}*/\n${body}")
    else()
      message(WARNING "${SLUICE_UPLOT}/dist/${from} is not that of uPlot "
        "${UPLOT_VERSION}: the page goes without it")
    endif()
  endif()
  set(old "")
  if(EXISTS ${PAGE_ROOT}/${to})
    file(READ ${PAGE_ROOT}/${to} old)
  endif()
  if(NOT EXISTS ${PAGE_ROOT}/${to} OR NOT old STREQUAL text)
    file(WRITE ${PAGE_ROOT}/${to} "${text}")
  endif()
endfunction()

uplot_part(uPlot.iife.min.js uplot.js 
  19c8d4c6ad88929a79f4ae49d6f7161566dfd0ba3d15cc495e974f787eb78f1f)
uplot_part(uPlot.min.css uplot.css 
  df630c6a8d6f8eeaff264b50f73ce5b114f646ffd9a0bb74f049b0a00135fa04)
