// A file and not a line in the page: the Content-Security-Policy allows no inline script.
"use strict";

window.SwaggerUIBundle({
  url: "/openapi.json",
  dom_id: "#api",
  deepLinking: true,
  docExpansion: "list",
  defaultModelsExpandDepth: -1,
  validatorUrl: null, // its badge would ask a server on the internet
  requestInterceptor: (request) => {
    const key = sessionStorage.getItem("retort-key"); // the one that the dashboard uses in this tab
    if (key && !request.headers.Authorization) request.headers.Authorization = `Bearer ${key}`;
    return request;
  },
});
