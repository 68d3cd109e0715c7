-- The files of HttpArena, in turn. CODINGS is the client's Accept-Encoding.
local names = {
    "reset.css", "layout.css", "theme.css", "components.css", "utilities.css", "analytics.js", "helpers.js",
    "app.js", "vendor.js", "router.js", "header.html", "footer.html", "regular.woff2", "bold.woff2", "logo.svg",
    "icon-sprite.svg", "hero.webp", "thumb1.webp", "thumb2.webp", "manifest.json",
}
local count = 0

request = function()
    count = count + 1
    wrk.headers["Accept-Encoding"] = os.getenv("CODINGS")
    return wrk.format("GET", "/static/" .. names[count % #names + 1])
end
