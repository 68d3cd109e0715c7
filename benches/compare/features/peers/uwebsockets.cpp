// uWebSockets: each message is sent back.
#include "App.h"
#include <string>

int main(int, char **arguments) {
    struct Data {};
    std::string address = arguments[1];
    int port = std::stoi(address.substr(address.find(':') + 1));
    uWS::App().ws<Data>("/*", {
        .compression = uWS::DISABLED,
        .maxPayloadLength = 1024 * 1024,
        .message = [](auto *socket, std::string_view message, uWS::OpCode code) { socket->send(message, code, false); },
    }).listen("127.0.0.1", port, [](auto *) {}).run();
}
