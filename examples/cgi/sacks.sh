# Answers a request by CGI: the fields, an empty line, the body.
echo "Content-Type: text/plain; charset=utf-8"
echo

case "$REQUEST_METHOD" in
GET) echo "hello, $REMOTE_ADDR: ${PATH_INFO#/} is fine flour" ;;
POST)
    echo "$CONTENT_LENGTH bytes arrived. In capitals:"
    tr '[:lower:]' '[:upper:]'
    ;;
*) echo "no program for $REQUEST_METHOD" ;;
esac
