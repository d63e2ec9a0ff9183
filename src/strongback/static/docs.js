"use strict";
// Starts Swagger UI on the API's document. Kept in a file of its own so that the page's
// Content-Security-Policy can forbid inline scripts.
window.addEventListener("load", () => {
  window.ui = window.SwaggerUIBundle({
    url: "/openapi.json",
    dom_id: "#swagger-ui",
    deepLinking: true,
    displayRequestDuration: true,
    tryItOutEnabled: true,
    validatorUrl: null,
    presets: [window.SwaggerUIBundle.presets.apis],
  });
  // The Authorize button then signs in as the project's own client, which has no secret.
  window.ui.initOAuth({ clientId: "strongback" });
});
