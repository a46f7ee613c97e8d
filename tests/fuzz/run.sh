#!/bin/sh
# sh tests/fuzz/run.sh BUILD TARGET SECONDS: fuzzes from a few seeds; a crash is
# left in the folder that is named at the end.
set -eu
dir=$(mktemp -d)
mkdir "$dir/corpus"
case $2 in
decode)
  printf '\000{"id":"x","a":[1,2.5e3,true,null],"p":{"q":"\\u00e9"},"v":-1}' >"$dir/corpus/1"
  printf '\001[{"id":1},{"a":"b","v":{}},{"\\u0061":1}]' >"$dir/corpus/2"
  printf '\001[{"id":1},{"a":"\\ud800"},{"v":NaN},{"a":[01,]},tru,{"p":{"q":2}}]' >"$dir/corpus/6"
  printf '\002{"id":1}\n\n{"a":2}\nx\n' >"$dir/corpus/3"
  printf '\003{"sent":1,"batch":[{"id":1}],"ctx":{"app":"\\u00e9"}}' >"$dir/corpus/4"
  printf '\004{"e":{"f":0},"d":{"k":"x","list":[{"a":1},{"p":{"q":2}}]}}' >"$dir/corpus/5" ;;
bulk)
  printf '\000{"index":{"_id":"1","a":{"b":[2]}}}\n{"n":1}\n{"delete":{}}\n{"create":{}}\n{"n":' >"$dir/corpus/1"
  printf '\000{"update":{"_id":1}}\r\n{"doc":{}}\r\n\n{"index":{}}\n\n' >"$dir/corpus/2"
  printf '\001[[1,"x"],[null,{"a":[]}],[1,2,3],{"a":1},[NaN]]' >"$dir/corpus/3"
  printf '\002{"s":[{"l":1,"v":[["1","x"],[]]},{"v":[[1]],"l":{}}]}' >"$dir/corpus/4" ;;
chunked)
  printf '\001' >"$dir/corpus/1"
  printf '2\r\n{}\r\n0\r\n\r\n' >>"$dir/corpus/1"
  printf '\0025;a=b;c="d\\"e"\r\nhello\r\n0;x\r\nA: b\r\nC:\r\n\r\n' >"$dir/corpus/2"
  printf '\007A\r\n0123456789\r\n000\r\n\r\nGET' >"$dir/corpus/3" ;;
encoding)
  printf '\000{"id":"zip","list":[1,2,3,1,2,3,1,2,3]}' >"$dir/corpus/1"
  printf '\003\213\005\200{"id":"zip"}\003' >"$dir/corpus/2"
  printf '\007\133\377\377\217\137\002\044\036\013\004\162\357\037\000' >"$dir/corpus/3"
  { printf '\001'; printf '{"id":"zip"}' | gzip -c; } >"$dir/corpus/4"
  { printf '\001'; printf '{"id":"zip"}' | zstd -qc; } >"$dir/corpus/5" ;;
http)
  printf '\100POST /v1 HTTP/1.1\r\nHost: t\r\nContent-Length: 2\r\n\r\n{}' >"$dir/corpus/1"
  printf '\200POST /n HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n' >"$dir/corpus/2"
  printf '\300GET / HTTP/1.0\r\n\r\nPOST / HTTP/1.1\r\nHost: t\r\nExpect: 100-continue\r\nContent-Length: 1\r\n\r\nx' >"$dir/corpus/3" ;;
proxy)
  printf '\001PROXY TCP4 192.0.2.7 10.0.0.1 65535 443\r\nGET' >"$dir/corpus/1"
  printf '\002PROXY TCP6 2001:db8::7 ::1 1 2\r\n' >"$dir/corpus/2"
  printf '\003PROXY UNKNOWN x\r\n' >"$dir/corpus/3"
  printf '\004\r\n\r\n\000\r\nQUIT\n\041\021\000\017\300\000\002\007\012\000\000\001\000\001\000\002\004\000\000G' >"$dir/corpus/4"
  printf '\005\r\n\r\n\000\r\nQUIT\n\041\041\000\044\040\001\015\270123456789012345678901234567890123' >"$dir/corpus/5"
  printf '\006\r\n\r\n\000\r\nQUIT\n\040\000\000\000' >"$dir/corpus/6" ;;
forwarded)
  printf '1.1.1.1:80, [2001:db8::1]:443, unknown, 10.0.0.1' >"$dir/corpus/1"
  printf 'for=1.1.1.1;by="_x";proto=http, For="[2001:db8::1]:443"' >"$dir/corpus/2"
  printf 'for="a\\"b, for=_hidden;x=", for=10.0.0.1' >"$dir/corpus/3" ;;
hmac)
  printf '\000sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17\n\nHello, World!' >"$dir/corpus/1"
  printf '\002t=1700000000,v1=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17,v0=x\n\n{}' >"$dir/corpus/2"
  printf '\003v0=a2114d57b48eac39b9ad189dd8316235a7b4a8d21a10bd27519666489c69b503\n1700000000\na=1' >"$dir/corpus/3"
  printf '\004t={timestamp},v1={hex}\n{timestamp}.{body}\n' >"$dir/corpus/4"
  printf '\204{base64}\nv0:{timestamp}:{body}\n' >"$dir/corpus/5" ;;
jwt)
  printf '\000eyJhbGciOiJFUzI1NiJ9.eyJpc3MiOiJqb2UifQ.DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q' >"$dir/corpus/1"
  printf '\001{"alg":"HS256","kid":"h","jwk":{}}\n{"exp":1700000001.5,"nbf":1,"aud":["a",["b"]],"sub":"\\u00e9","iss":"me"}' >"$dir/corpus/2"
  printf '\002{"keys":[{"kty":"oct","k":"AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T"},{"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo","use":"sig","kid":"d"}]}' >"$dir/corpus/3"
  printf '\002{"keys":[{"kty":"EC","crv":"P-256","x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU","y":"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0","key_ops":["verify"]}]}' >"$dir/corpus/4" ;;
query)
  printf '\000a=1&b=x+y&&c&n=007&b=TRUE&j=%%7B%%22a%%22%%3A1%%7D&e=eyJhIjoxfQ&%%C3%%A9=%%E2%%82%%AC' >"$dir/corpus/1"
  printf '\003a=1&a=2&a[]=3&a[]=4;5&=&%%&%%zz' >"$dir/corpus/2" ;;
multipart)
  printf '\000--B\r\nContent-Disposition: form-data; name="a%%22b"\r\n\r\nx\r\n--B--\r\n' >"$dir/corpus/1"
  printf '\003--B\r\nContent-Type: text/plain\r\nContent-Disposition: form-data; name=j\r\n\r\n{"a":1}\r\n--B \r\nContent-Disposition: form-data; name="j\\""; filename=x\r\n\r\n\r\n--B--' >"$dir/corpus/2"
  printf '\001multipart/form-data; charset=utf-8; boundary="a\\b"' >"$dir/corpus/3" ;;
request)
  printf '/v1/x%%20/y?a=%%41+b&c\nAuthorization:Basic dTpw\nce-id:1\nce-specversion:1.0\nContent-Type:application/json\n\n{"a":[1.5]}' >"$dir/corpus/1"
  printf '/\nce-a:"x \\"y\\" %%E2%%82%%AC"\ncontent-type:text/xml; charset=utf-8\n\n<a b="c"/>' >"$dir/corpus/2"
  printf '/\nce-a:1\ncontent-type:image/png\n\n\001\377' >"$dir/corpus/3" ;;
shapes)
  printf '\000{"v":1}{"v":"}{"}[{"v":2},7]\n{"v":3}' >"$dir/corpus/1"
  printf '\001{"t":1,"b":[{"y":{"x":2},"c":[{"z":3,"d":[{"v":1},{"v":2}]},{"d":[]}]},{}]}' >"$dir/corpus/2"
  printf '\001{"b":[{"c":[{"d":[{"v":1}],"z":1}],"y":{"x":1}}],"t":1}' >"$dir/corpus/3"
  printf '\001{"b":[{"c":[{"d":null},{"d":[{"v":1}],"z":1}]},{"c":null}]}' >"$dir/corpus/4" ;;
agents)
  printf 'user_agent_parsers:\n- regex: "(F[io]x|ab?c)/([0-9]+)(?:[.]([0-9]+)|)"\n  regex_flag: i\n  v1_replacement: "$1x"\nos_parsers:\n- regex: (k+s)+$|(Win{1,3})\n  os_replacement: W $2\n\000Fix/1.2 (win; \342\204\252S)' >"$dir/corpus/1"
  printf 'device_parsers:\n- regex: "; *([^;]{0,9}?) Build"\n  brand_replacement: B\n- regex: (a+)+$\n\000; x1 Build aaaaaaaaaaaaaaaaaaaaaaaaaaaaa!' >"$dir/corpus/2"
  printf 'user_agent_parsers:\n- regex: (?:abc|\303\251d)(e)\n- regex: (.)\n  family_replacement: $1$1\n\000\377abce' >"$dir/corpus/3" ;;
cidr)
  printf '10.0.0.0/8,a\n10.1.0.0/16,b\n::ffff:10.1.2.3,c\n2001:db8::/32,d\n::/0,e\n0.0.0.0/0,f\n' >"$dir/corpus/1"
  printf '# x\n; y\n192.0.2.0/24 ; SBL1\n2001:db8::1/128\t"q", z\n255.255.255.255\n' >"$dir/corpus/2" ;;
mmdb)
  printf '\004\342Aa\341Ab\001\007Ab\001\004ABx' >"$dir/corpus/1"
  printf '\001\003\004Ax\040\001\150\100\011\041\373\124\104\055\030\242\001' >"$dir/corpus/2"
  printf '\377' | cat - "$(dirname "$0")/../../conf/examples/geo.mmdb" >"$dir/corpus/3" ;;
signed)
  four='"ad-network-id":"n","source-identifier":"5","app-id":3,"transaction-id":"t","redownload":false'
  old='"ad-network-id":"n","campaign-id":2,"app-id":3,"transaction-id":"t"'
  printf '\005\0\0\001{"version":"4.0",%s,"source-app-id":9,"fidelity-type":1,"did-win":true,"postback-sequence-index":0}' \
    "$four" >"$dir/corpus/1"
  printf '\005\040\0\001{%s}' "$old" >"$dir/corpus/2"
  printf '\005\020\0\002{"version":"2.2","redownload":true,"fidelity-type":0,%s}' "$old" >"$dir/corpus/3"
  printf '\000\0\0\0{%s,"attribution-signature":"MAYCAQECAQE="}' "$old" >"$dir/corpus/4"
  printf '\001\0\0\0{"jws-string":"eyJraWQiOiJvd24vMCIsImFsZyI6IkVTMjU2In0.e30.%086d"}' 0 >"$dir/corpus/5"
  printf '\002\0\0\0eyJraWQiOiJvd24vMCIsImFsZyI6IkVTMjU2In0.e30.%086d' 0 >"$dir/corpus/6"
  { printf '\003\0\0\0'; openssl ecparam -name prime256v1 -genkey -noout |
    openssl ec -pubout 2>/dev/null; } >"$dir/corpus/7"
  printf '\004\0\0\0\060\006\002\001\001\002\001\001' >"$dir/corpus/8"
  printf '\006\030\0\001{"postback-identifier":"p","did-win":true}' >"$dir/corpus/9" ;;
keys)
  sha=2c70e12b7a0646f92279f427c7b38e7334d8e5389cff167a1dc30e73f826b683
  printf '\000sha256,until,off\n%s,2030-01-01,no\n' $sha >"$dir/corpus/1"
  printf '\000off,sha256,until\r\nyes,%s,1970-01-01T00:16:40Z\r\n' $sha >"$dir/corpus/2"
  printf '\000sha256,until,off\nS3CR3T,,\n%s,S3CR3T,S3CR3T\n"S3CR3T' $sha >"$dir/corpus/3"
  printf '\000S3CR3T,S3CR3T\n%s,\n%s,\n' $sha $sha >"$dir/corpus/4"
  printf '\001Bearer  k1' >"$dir/corpus/5"
  printf '\001basic dTpwOnE=' >"$dir/corpus/6"
  printf '\001a=1&k%%65y=%%6b+1&&key&b' >"$dir/corpus/7" ;;
segment) printf '\001\002\003\004' >"$dir/corpus/1" ;;
esac
words=$(dirname "$0")/$2.dict
[ -f "$words" ] && set -- "$@" "-dict=$words"
"$1/fuzz/fuzz_$2" -max_total_time="$3" -max_len=4096 -print_final_stats=1 \
  -artifact_prefix="$dir/" ${4:+"$4"} "$dir/corpus" >"$dir/log" 2>&1 || {
  tail -40 "$dir/log"
  echo "fuzz $2 failed: see $dir"
  exit 1
}
grep -E 'number_of_executed_units' "$dir/log"
rm -rf "$dir"
