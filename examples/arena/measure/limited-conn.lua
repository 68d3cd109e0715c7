-- The tenth request of a connection is its last one.
local stay, leave, count = nil, nil, 0

init = function()
    stay = wrk.format("GET", "/baseline11?a=13&b=42")
    leave = stay:gsub("\r\n", "\r\nConnection: close\r\n", 1)
end

request = function()
    count = count + 1
    return count % 10 == 0 and leave or stay
end
