# Writes OUT: the FILES as C strings, found by their path below ROOT through the
# FUNCTION that HEADER declares.
set(text "#include \"${HEADER}\"\n\n#include <string.h>\n\n")
set(table "")
set(i 0)
foreach(file ${FILES})
  file(RELATIVE_PATH name ${ROOT} ${file})
  file(READ ${file} hex HEX)
  string(REGEX REPLACE "([0-9a-f][0-9a-f])" "0x\\1," bytes "${hex}")
  string(APPEND text "static const unsigned char file_${i}[] = {${bytes}0};\n")
  string(APPEND table "    {\"${name}\", file_${i}, sizeof file_${i} - 1},\n")
  math(EXPR i "${i} + 1")
endforeach()
string(APPEND text "
static const struct {
    const char *name;
    const unsigned char *text;
    size_t n;
} files[] = {
${table}};

struct str ${FUNCTION}(const char *name)
{
    for (size_t i = 0; i < sizeof files / sizeof files[0]; i++) {
        if (strcmp(files[i].name, name) == 0) {
            return (struct str){(const char *)files[i].text, files[i].n};
        }
    }
    return (struct str){NULL, 0};
}
")
file(WRITE ${OUT} "${text}")
